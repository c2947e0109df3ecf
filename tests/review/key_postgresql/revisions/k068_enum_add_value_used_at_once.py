"""enum_add_value_used_at_once

Revision ID: k068
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k068"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TYPE user_status ADD VALUE 'void'")
    op.execute("UPDATE users SET status = 'void' WHERE id = 1")


def downgrade() -> None:
    pass
