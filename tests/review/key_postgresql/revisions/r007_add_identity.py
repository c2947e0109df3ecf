"""add_identity

Revision ID: r007
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r007"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('orders', sa.Column('no', sa.BigInteger(), sa.Identity(), nullable=False))


def downgrade() -> None:
    pass
