"""old_table_same_name_elsewhere

Revision ID: k120
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k120"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('orders', sa.Column('id', sa.Integer()), sa.Column('user_id', sa.Integer()), schema='aux')
    op.create_index('ix_orders_user', 'orders', ['user_id'])


def downgrade() -> None:
    pass
