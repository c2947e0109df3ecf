"""association_table

Revision ID: n021
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n021"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users_orders",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_uo_user"),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_uo_order"),
        sa.PrimaryKeyConstraint("user_id", "order_id"),
    )
    op.create_index("ix_uo_order", "users_orders", ["order_id"])


def downgrade() -> None:
    pass
