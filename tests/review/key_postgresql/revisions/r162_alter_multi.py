"""alter_multi

Revision ID: r162
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r162"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('orders', 'user_id', type_=sa.BigInteger(), nullable=False)


def downgrade() -> None:
    pass
