"""column_foreign_key_by_alembic

Revision ID: k016
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k016"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('orders', sa.Column('buyer_id', sa.Integer(), sa.ForeignKey('users.id')))


def downgrade() -> None:
    pass
