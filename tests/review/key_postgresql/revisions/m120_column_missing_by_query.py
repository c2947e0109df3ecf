"""column_missing_by_query

Revision ID: m120
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m120"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    found = op.get_bind().execute(sa.text(
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'orders' AND column_name = 'total2'"
    )).scalar()
    if found == 0:
        op.execute("ALTER TABLE orders ADD COLUMN total2 numeric")
        op.execute("UPDATE orders SET total2 = total")


def downgrade() -> None:
    pass
