"""drop_index_plain

Revision ID: k031
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k031"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index('ix_users_email', table_name='users')


def downgrade() -> None:
    pass
