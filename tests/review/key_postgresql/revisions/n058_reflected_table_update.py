"""reflected_table_update

Revision ID: n058
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n058"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    orders = sa.Table("orders", sa.MetaData(), autoload_with=op.get_bind())
    op.execute(orders.update().values(state="closed"))


def downgrade() -> None:
    pass
