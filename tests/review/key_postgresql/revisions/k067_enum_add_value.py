"""enum_add_value

Revision ID: k067
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k067"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TYPE user_status ADD VALUE IF NOT EXISTS 'void' AFTER 'paid'")


def downgrade() -> None:
    pass
