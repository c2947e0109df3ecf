"""add_inline_check_raw

Revision ID: k010
Revises: base0000
"""

from alembic import op

revision = "k010"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN tax INT CHECK (tax >= 0)")


def downgrade() -> None:
    pass
