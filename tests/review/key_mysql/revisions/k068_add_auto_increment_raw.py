"""add_auto_increment_raw

Revision ID: k068
Revises: base0000
"""

from alembic import op

revision = "k068"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE lonely ADD COLUMN no INT AUTO_INCREMENT UNIQUE")


def downgrade() -> None:
    pass
