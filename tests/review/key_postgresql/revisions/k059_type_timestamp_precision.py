"""type_timestamp_precision

Revision ID: k059
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k059"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamp(0)")


def downgrade() -> None:
    pass
