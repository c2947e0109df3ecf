"""lock_weak

Revision ID: k154
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k154"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("LOCK TABLE orders IN ROW EXCLUSIVE MODE NOWAIT")


def downgrade() -> None:
    pass
