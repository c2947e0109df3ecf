"""fk_replaced_not_valid

Revision ID: k112
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k112"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint('fk_items_order', 'items', type_='foreignkey')
    op.create_foreign_key('fk_items_order', 'items', 'orders', ['order_id'], ['id'], ondelete='CASCADE', postgresql_not_valid=True)


def downgrade() -> None:
    pass
