"""index_partitioned

Revision ID: k088
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k088"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('ix_log_msg', 'log', ['msg'])


def downgrade() -> None:
    pass
