"""fk_not_valid

Revision ID: k096
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k096"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_foreign_key('fk_orders_user', 'orders', 'users', ['user_id'], ['id'], postgresql_not_valid=True)


def downgrade() -> None:
    pass
