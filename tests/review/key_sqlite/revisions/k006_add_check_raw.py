"""add_check_raw

Revision ID: k006
Revises: base0000
"""

from alembic import op

revision = "k006"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN level INTEGER CHECK (level > 0)")


def downgrade() -> None:
    pass
