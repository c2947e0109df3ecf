"""update_nulls

Revision ID: k140
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k140"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = '' WHERE notes IS NULL")


def downgrade() -> None:
    pass
