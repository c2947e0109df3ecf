"""lock_timeout_then_index

Revision ID: r157
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r157"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET lock_timeout = '2s'")
    op.create_index('ix_lt', 'orders', ['user_id'])


def downgrade() -> None:
    pass
