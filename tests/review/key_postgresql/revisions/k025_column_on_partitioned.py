"""column_on_partitioned

Revision ID: k025
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k025"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('log', sa.Column('host', sa.Text(), server_default='here'))


def downgrade() -> None:
    pass
