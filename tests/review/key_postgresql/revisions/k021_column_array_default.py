"""column_array_default

Revision ID: k021
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k021"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS tags text[] NOT NULL DEFAULT '{}', ADD COLUMN prefs jsonb DEFAULT '{}'::jsonb")


def downgrade() -> None:
    pass
