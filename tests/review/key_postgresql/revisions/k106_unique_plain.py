"""unique_plain

Revision ID: k106
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k106"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_unique_constraint('uq_items', 'items', ['order_id', 'sku'])


def downgrade() -> None:
    pass
