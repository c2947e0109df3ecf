"""type_timestamptz_elsewhere

Revision ID: k060
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k060"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL TIME ZONE 'America/New_York'")
    op.execute("ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamptz")


def downgrade() -> None:
    pass
