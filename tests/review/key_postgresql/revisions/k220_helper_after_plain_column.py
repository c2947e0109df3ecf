"""helper_after_plain_column

Revision ID: k220
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op
from safeops import create_index_if_missing, enforce_not_null

revision = "k220"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('orders', sa.Column('note', sa.Text()))
    create_index_if_missing('ix_note', 'orders', ['note'])
    enforce_not_null('orders', 'user_id')


def downgrade() -> None:
    pass
