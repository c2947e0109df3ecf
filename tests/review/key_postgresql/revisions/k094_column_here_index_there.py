"""column_here_index_there

Revision ID: k094
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k094"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('nick', sa.Text()))
    op.create_index('ix_lonely', 'lonely', ['id'])


def downgrade() -> None:
    pass
