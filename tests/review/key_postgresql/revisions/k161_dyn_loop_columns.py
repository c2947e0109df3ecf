"""dyn_loop_columns

Revision ID: k161
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k161"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ('users', 'orders', 'items'):
        op.execute(f'ALTER TABLE {table} ADD COLUMN tenant int DEFAULT 1')


def downgrade() -> None:
    pass
