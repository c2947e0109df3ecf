"""new_table_same_name_elsewhere

Revision ID: k119
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k119"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('orders', sa.Column('id', sa.Integer()), sa.Column('user_id', sa.Integer()), schema='aux')
    op.create_index('ix_aux_orders', 'orders', ['user_id'], schema='aux')
    op.alter_column('orders', 'user_id', type_=sa.BigInteger(), schema='aux')


def downgrade() -> None:
    pass
