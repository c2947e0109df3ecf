"""add_virtual_raw

Revision ID: k009
Revises: base0000
"""

from alembic import op

revision = "k009"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN cents INTEGER AS (total * 100)")


def downgrade() -> None:
    pass
