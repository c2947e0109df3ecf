"""lock_tables_briefly_raw

Revision ID: k057
Revises: base0000
"""

from alembic import op

revision = "k057"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("LOCK TABLES users WRITE, orders READ")
    op.execute("UPDATE users SET age = 3 WHERE id = 7")
    op.execute("UNLOCK TABLES")


def downgrade() -> None:
    pass
