"""column_stable_expressions

Revision ID: k012
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k012"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('orders', sa.Column('day', sa.Date(), server_default=sa.text('CURRENT_DATE')))
    op.add_column('orders', sa.Column('utc', sa.DateTime(), nullable=False, server_default=sa.text("timezone('utc', now())")))
    op.add_column('orders', sa.Column('began', sa.DateTime(timezone=True), server_default=sa.text('statement_timestamp()')))


def downgrade() -> None:
    pass
