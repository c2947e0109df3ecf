"""add_after_raw

Revision ID: k008
Revises: base0000
"""

from alembic import op

revision = "k008"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN nick VARCHAR(40) AFTER name")


def downgrade() -> None:
    pass
