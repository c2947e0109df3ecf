"""column_unique_by_alembic

Revision ID: k017
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k017"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('orders', sa.Column('number', sa.String(20), unique=True))


def downgrade() -> None:
    pass
