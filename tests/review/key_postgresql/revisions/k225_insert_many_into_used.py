"""insert_many_into_used

Revision ID: k225
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k225"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO items (order_id, sku) SELECT id, 'gift' FROM orders")


def downgrade() -> None:
    pass
