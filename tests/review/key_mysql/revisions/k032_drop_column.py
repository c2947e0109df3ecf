"""drop_column

Revision ID: k032
Revises: base0000
"""

from alembic import op

revision = "k032"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("users", "notes")


def downgrade() -> None:
    pass
