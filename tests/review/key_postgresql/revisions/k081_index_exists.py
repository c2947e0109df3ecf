"""index_exists

Revision ID: k081
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k081"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX IF NOT EXISTS ix_users_email ON users (email)")


def downgrade() -> None:
    pass
