"""dyn_ddl_element

Revision ID: k175
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k175"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    orders = sa.Table('orders', sa.MetaData(), sa.Column('user_id', sa.Integer()))
    sa.Index('ix_ddl', orders.c.user_id).create(op.get_bind())


def downgrade() -> None:
    pass
