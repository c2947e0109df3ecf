"""delete_all

Revision ID: k035
Revises: base0000
"""

from alembic import op

revision = "k035"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM items")


def downgrade() -> None:
    pass
