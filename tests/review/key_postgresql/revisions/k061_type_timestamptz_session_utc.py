"""type_timestamptz_session_utc

Revision ID: k061
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k061"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET TIME ZONE 'UTC'; ALTER TABLE orders ALTER COLUMN placed_at TYPE timestamptz")


def downgrade() -> None:
    pass
