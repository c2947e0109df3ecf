"""index_replaced

Revision ID: k230
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k230"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index('ix_users_email', 'users')
    op.create_index('ix_users_email', 'users', ['email', 'id'])


def downgrade() -> None:
    pass
