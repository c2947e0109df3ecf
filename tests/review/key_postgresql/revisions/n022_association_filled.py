"""association_filled

Revision ID: n022
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n022"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users_orders",
        sa.Column("user_id", sa.Integer(), sa.ForeignKey("users.id")),
        sa.Column("order_id", sa.Integer(), sa.ForeignKey("orders.id")),
    )
    op.execute("INSERT INTO users_orders SELECT user_id, id FROM orders WHERE user_id IS NOT NULL")


def downgrade() -> None:
    pass
