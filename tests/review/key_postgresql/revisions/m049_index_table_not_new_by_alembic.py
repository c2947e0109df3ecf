"""index_table_not_new_by_alembic

Revision ID: m049
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m049"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('orders', sa.Column('id', sa.Integer()), sa.Column('user_id', sa.Integer()), if_not_exists=True)
    op.create_index('ix_not_new', 'orders', ['user_id'])


def downgrade() -> None:
    pass
