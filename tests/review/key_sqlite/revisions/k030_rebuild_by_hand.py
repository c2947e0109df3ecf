"""rebuild_by_hand

Revision ID: k030
Revises: base0000
"""

from alembic import op

revision = "k030"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE users_new (id INTEGER PRIMARY KEY, email TEXT NOT NULL, name TEXT, status TEXT, age INTEGER, notes TEXT)")
    op.execute("INSERT INTO users_new SELECT id, email, name, status, age, notes FROM users")
    op.execute("DROP TABLE users")
    op.execute("ALTER TABLE users_new RENAME TO users")


def downgrade() -> None:
    pass
