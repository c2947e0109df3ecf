"""index_plain_in_autocommit

Revision ID: k083
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k083"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index('ix_state', 'orders', ['state'])


def downgrade() -> None:
    pass
