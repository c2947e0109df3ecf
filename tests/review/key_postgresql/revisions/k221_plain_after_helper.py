"""plain_after_helper

Revision ID: k221
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op
from safeops import create_index_if_missing

revision = "k221"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index_if_missing('ix_orders_user', 'orders', ['user_id'])
    op.create_index('ix_orders_total', 'orders', ['total'])


def downgrade() -> None:
    pass
