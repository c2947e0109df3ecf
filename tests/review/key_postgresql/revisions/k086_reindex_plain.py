"""reindex_plain

Revision ID: k086
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k086"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("REINDEX TABLE users")


def downgrade() -> None:
    pass
