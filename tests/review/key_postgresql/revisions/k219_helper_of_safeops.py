"""helper_of_safeops

Revision ID: k219
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op
from safeops import create_index_if_missing

revision = "k219"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index_if_missing('ix_orders_user', 'orders', ['user_id'])


def downgrade() -> None:
    pass
