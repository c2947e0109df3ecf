"""index_on_empty

Revision ID: k080
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k080"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('ix_val', 'empty_table', ['val'])


def downgrade() -> None:
    pass
