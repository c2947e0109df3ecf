"""not_null_proven

Revision ID: k070
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k070"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('orders', 'state', nullable=False, existing_type=sa.String(20))


def downgrade() -> None:
    pass
