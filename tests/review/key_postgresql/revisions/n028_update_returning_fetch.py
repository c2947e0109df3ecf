"""update_returning_fetch

Revision ID: n028
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n028"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    rows = op.get_bind().execute(sa.text("UPDATE items SET sku = upper(sku) RETURNING id")).fetchall()


def downgrade() -> None:
    pass
