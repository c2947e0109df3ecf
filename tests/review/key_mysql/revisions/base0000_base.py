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
    op.create_table("users", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("email", sa.String(100), nullable=False), sa.Column("name", sa.Text()), sa.Column("status", sa.Enum("new", "paid", name="user_status")), sa.Column("age", sa.Integer()), sa.Column("payload", sa.JSON()), sa.Column("notes", sa.Text()), sa.Column("code", sa.String(10)))
    op.create_index("ix_users_email", "users", ["email"])
    op.create_table("orders", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("user_id", sa.Integer()), sa.Column("total", sa.Numeric(10, 2)), sa.Column("state", sa.String(20)), sa.Column("placed_at", sa.DateTime()))
    op.create_check_constraint("ck_total", "orders", "total > -1")
    op.create_index("ix_orders_user", "orders", ["user_id"])
    op.create_table("items", sa.Column("id", sa.BigInteger(), primary_key=True), sa.Column("order_id", sa.Integer(), sa.ForeignKey("orders.id", name="fk_items_order")), sa.Column("sku", sa.String(50)))
    op.create_table("empty_table", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("val", sa.Text()))
    op.create_table("measures", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("n", sa.Integer()), sa.Column("twice", sa.Integer(), sa.Computed("n * 2", persisted=False)))
    op.execute("CREATE TABLE lonely (id INT NOT NULL, v VARCHAR(30))")
    op.execute("CREATE TABLE legacy (id INT PRIMARY KEY, title VARCHAR(40)) DEFAULT CHARACTER SET latin1")
    op.execute("CREATE TABLE docs (id INT PRIMARY KEY, body TEXT, FULLTEXT KEY ft_body (body))")
    op.execute("CREATE TABLE log (id INT NOT NULL, year INT NOT NULL, msg VARCHAR(50), PRIMARY KEY (id, year)) PARTITION BY RANGE (year) (PARTITION p2025 VALUES LESS THAN (2026), PARTITION p2026 VALUES LESS THAN (2027))")
    op.execute("CREATE TABLE log_new (id INT NOT NULL, year INT NOT NULL, msg VARCHAR(50), PRIMARY KEY (id, year))")


def downgrade() -> None:
    raise NotImplementedError
