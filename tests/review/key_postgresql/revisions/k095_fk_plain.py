"""fk_plain

Revision ID: k095
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k095"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_foreign_key('fk_orders_user', 'orders', 'users', ['user_id'], ['id'])


def downgrade() -> None:
    pass
