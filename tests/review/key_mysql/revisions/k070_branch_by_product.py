"""branch_by_product

Revision ID: k070
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k070"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.is_mariadb:
        op.create_index("ix_orders_state", "orders", ["state"])
    else:
        op.alter_column("orders", "user_id", type_=sa.BigInteger(), existing_type=sa.Integer())


def downgrade() -> None:
    pass
