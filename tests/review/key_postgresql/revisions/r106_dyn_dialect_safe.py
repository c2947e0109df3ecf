"""dyn_dialect_safe

Revision ID: r106
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r106"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.name == 'mysql':
        op.create_index('ix_x', 'orders', ['user_id'])
    else:
        op.execute('SELECT 1')


def downgrade() -> None:
    pass
