"""column_here_index_on_empty

Revision ID: k093
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k093"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('nick', sa.Text()))
    op.create_index('ix_val', 'empty_table', ['val'])


def downgrade() -> None:
    pass
