"""column_exists_by_query

Revision ID: m119
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m119"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    found = op.get_bind().execute(sa.text(
        "SELECT 1 FROM information_schema.columns WHERE table_name = 'orders' AND column_name = 'state'"
    )).scalar()
    if not found:
        op.execute("UPDATE orders SET total = 0")


def downgrade() -> None:
    pass
