"""dyn_loop_indexes

Revision ID: k160
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k160"
down_revision = "base0000"
branch_labels = None
depends_on = None

TABLES = {'users': 'age', 'orders': 'user_id'}


def upgrade() -> None:
    for table, column in TABLES.items():
        op.create_index(op.f(f'ix_{table}_{column}'), table, [column])


def downgrade() -> None:
    pass
