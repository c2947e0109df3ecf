"""lock_then_copy

Revision ID: k153
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k153"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("LOCK TABLE orders IN SHARE MODE")
    op.execute("INSERT INTO empty_table SELECT id, state FROM orders")


def downgrade() -> None:
    pass
