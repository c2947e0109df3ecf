"""comment_inside_raw

Revision ID: k047
Revises: base0000
"""

from alembic import op

revision = "k047"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("/* DROP TABLE users; */ ALTER TABLE users -- UPDATE users SET age = 1\n ADD COLUMN nick TEXT")


def downgrade() -> None:
    pass
