"""function_called

Revision ID: k149
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k149"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE FUNCTION touch() RETURNS bigint LANGUAGE sql AS $body$ UPDATE users SET notes = 'x'; SELECT count(*) FROM users $body$")
    op.execute("SELECT touch()")


def downgrade() -> None:
    pass
