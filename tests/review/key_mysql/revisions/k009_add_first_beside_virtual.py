"""add_first_beside_virtual

Revision ID: k009
Revises: base0000
"""

from alembic import op

revision = "k009"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE measures ADD COLUMN unit INT FIRST")


def downgrade() -> None:
    pass
