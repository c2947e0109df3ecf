"""index_brin_expression

Revision ID: k091
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k091"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('ix_day', 'orders', [sa.text('date(placed_at)')], postgresql_using='brin')


def downgrade() -> None:
    pass
