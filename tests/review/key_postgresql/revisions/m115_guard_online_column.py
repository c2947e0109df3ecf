"""guard_online_column

Revision ID: m115
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op
from alembic import context

revision = "m115"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if not context.is_offline_mode():
        names = [c['name'] for c in sa.inspect(op.get_bind()).get_columns('orders')]
        if 'note' in names:
            return
    op.add_column('orders', sa.Column('note', sa.Text()))


def downgrade() -> None:
    pass
