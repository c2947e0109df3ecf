"""temp_table

Revision ID: k123
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k123"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TEMPORARY TABLE picked ON COMMIT DROP AS SELECT id FROM users WHERE age = 7")
    op.execute("CREATE INDEX ON picked (id)")
    op.execute("UPDATE picked SET id = id + 1")
    op.execute("TRUNCATE picked")


def downgrade() -> None:
    pass
