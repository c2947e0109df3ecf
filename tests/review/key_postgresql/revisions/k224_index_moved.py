"""index_moved

Revision ID: k224
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k224"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER INDEX ix_users_email SET TABLESPACE ts1")


def downgrade() -> None:
    pass
