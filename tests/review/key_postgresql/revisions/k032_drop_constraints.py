"""drop_constraints

Revision ID: k032
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k032"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint('ck_late', 'orders', type_='check')
    op.drop_constraint('fk_items_order', 'items', type_='foreignkey')


def downgrade() -> None:
    pass
