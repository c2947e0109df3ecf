"""The tables as they stand before.

Revision ID: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "base0000"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("users", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("email", sa.String(100), nullable=False), sa.Column("name", sa.Text()), sa.Column("status", sa.String(10)), sa.Column("age", sa.Integer()), sa.Column("notes", sa.Text()))
    op.create_index("ix_users_email", "users", ["email"])
    op.create_table("orders", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("user_id", sa.Integer()), sa.Column("total", sa.Numeric(10, 2)), sa.Column("state", sa.String(20)), sa.CheckConstraint("total > -1", name="ck_total"))
    op.create_index("ix_orders_user", "orders", ["user_id"])
    op.create_table("items", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("order_id", sa.Integer(), sa.ForeignKey("orders.id", name="fk_items_order")), sa.Column("sku", sa.String(50)))
    op.create_table("empty_table", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("val", sa.Text()))
    op.create_table("measures", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("n", sa.Integer()), sa.Column("twice", sa.Integer(), sa.Computed("n * 2", persisted=False)))


def downgrade() -> None:
    raise NotImplementedError
