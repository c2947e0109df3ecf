"""quiet_helpers

Revision ID: m117
Revises: base0000
"""

import logging
import time

import sqlalchemy as sa
from alembic import op

revision = "m117"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    print('adding the column')
    time.sleep(0.01)
    logging.getLogger('alembic').info('CREATE INDEX')
    op.add_column('orders', sa.Column('note', sa.Text()))


def downgrade() -> None:
    pass
