"""column_new_enum

Revision ID: k022
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k022"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    level = sa.Enum('low', 'high', name='level')
    level.create(op.get_bind(), checkfirst=True)
    op.add_column('orders', sa.Column('level', level, nullable=False, server_default='low'))


def downgrade() -> None:
    pass
