"""column_check_inline

Revision ID: k019
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k019"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN stars int CHECK (stars BETWEEN 1 AND 5)")


def downgrade() -> None:
    pass
