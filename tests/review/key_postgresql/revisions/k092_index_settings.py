"""index_settings

Revision ID: k092
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k092"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER INDEX ix_users_email SET (fillfactor = 80)")


def downgrade() -> None:
    pass
