"""dyn_inspector_builds

Revision ID: k170
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k170"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    indexes = {index['name'] for index in sa.inspect(op.get_bind()).get_indexes('orders')}
    if 'ix_orders_user' not in indexes:
        op.create_index('ix_orders_user', 'orders', ['user_id'])


def downgrade() -> None:
    pass
