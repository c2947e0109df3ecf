"""The tables that the revisions of the key find.

Revision ID: base0000
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "base0000"
down_revision = None
branch_labels = None
depends_on = None

PARTITIONED = """
CREATE TABLE log (at date NOT NULL, msg text) PARTITION BY RANGE (at);
CREATE TABLE log_2026 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE log_def PARTITION OF log DEFAULT;
ALTER TABLE log_def ADD CONSTRAINT c1 CHECK (at < '2026-01-01');
CREATE TABLE log_2027 (at date NOT NULL, msg text);
CREATE TABLE log_2028 (at date NOT NULL, msg text, CONSTRAINT c2 CHECK (at >= '2028-01-01' AND at < '2029-01-01'));
"""

OTHERS = """
CREATE TABLE booking (id int, span int4range);
CREATE UNLOGGED TABLE cache (k int, v text);
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE VIEW v_age AS SELECT id, age FROM users;
CREATE SCHEMA aux;
CREATE TABLE aux.a (id int);
CREATE FUNCTION tgf() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE MATERIALIZED VIEW mv AS SELECT id AS user_id, count(*) AS n FROM lonely GROUP BY id;
CREATE UNIQUE INDEX mv_u ON mv (user_id);
"""


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("email", sa.String(100), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("status", sa.Enum("new", "paid", name="user_status")),
        sa.Column("age", sa.Integer()),
        sa.Column("payload", sa.JSON()),
        sa.Column("notes", sa.Text()),
        sa.Column("code", sa.CHAR(10)),
    )
    op.create_index("ix_users_email", "users", ["email"])
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("user_id", sa.Integer()),
        sa.Column("total", sa.Numeric(10, 2)),
        sa.Column("state", sa.String(20)),
        sa.Column("placed_at", sa.DateTime()),
    )
    op.create_check_constraint("ck_state_nn", "orders", "state IS NOT NULL")
    op.create_check_constraint("lonely_marker", "orders", "id > 0")
    op.create_check_constraint("ck_late", "orders", "total > -1", postgresql_not_valid=True)
    op.create_table(
        "items",
        sa.Column("id", sa.BigInteger(), primary_key=True),
        sa.Column("order_id", sa.Integer(), sa.ForeignKey("orders.id", name="fk_items_order")),
        sa.Column("sku", sa.String(50)),
    )
    op.create_table("empty_table", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("val", sa.Text()))
    op.create_table("lonely", sa.Column("id", sa.Integer()), sa.Column("v", sa.Text()))
    op.execute(PARTITIONED)
    op.execute(OTHERS)


def downgrade() -> None:
    raise NotImplementedError
