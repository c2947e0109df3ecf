"""index_conc_in_transaction

Revision ID: k082
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k082"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('ix_state', 'orders', ['state'], postgresql_concurrently=True)


def downgrade() -> None:
    pass
