"""type_text_to_jsonb_without_using

Revision ID: k054
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k054"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ALTER COLUMN notes TYPE jsonb")


def downgrade() -> None:
    pass
