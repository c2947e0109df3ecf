"""function_only_made

Revision ID: k150
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k150"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE OR REPLACE FUNCTION touch() RETURNS void LANGUAGE plpgsql AS $body$ BEGIN UPDATE users SET notes = 'x'; TRUNCATE orders; EXECUTE 'CREATE INDEX ON orders (total)'; END $body$")


def downgrade() -> None:
    pass
