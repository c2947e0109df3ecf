"""reflected_table_update_few

Revision ID: n059
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n059"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    orders = sa.Table("orders", sa.MetaData(), autoload_with=op.get_bind())
    op.execute(orders.update().where(orders.c.id == 3).values(state="closed"))


def downgrade() -> None:
    pass
