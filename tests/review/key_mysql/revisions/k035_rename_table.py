"""rename_table

Revision ID: k035
Revises: base0000
"""

from alembic import op

revision = "k035"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.rename_table("items", "lines")


def downgrade() -> None:
    pass
