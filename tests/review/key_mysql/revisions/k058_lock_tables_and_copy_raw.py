"""lock_tables_and_copy_raw

Revision ID: k058
Revises: base0000
"""

from alembic import op

revision = "k058"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE saved (id INT PRIMARY KEY, email VARCHAR(100))")
    op.execute("LOCK TABLES users WRITE, saved WRITE")
    op.execute("INSERT INTO saved SELECT id, email FROM users")
    op.execute("UNLOCK TABLES")


def downgrade() -> None:
    pass
