"""column_stored_generated

Revision ID: k008
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k008"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('orders', sa.Column('gross', sa.Numeric(12, 2), sa.Computed('total * 1.2', persisted=True)))


def downgrade() -> None:
    pass
