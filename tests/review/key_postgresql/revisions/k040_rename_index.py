"""rename_index

Revision ID: k040
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k040"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER INDEX ix_users_email RENAME TO users_by_email")


def downgrade() -> None:
    pass
