"""index_conc_block

Revision ID: r057
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r057"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index('ix_orders_user', 'orders', ['user_id'], postgresql_concurrently=True)


def downgrade() -> None:
    pass
