"""conc_helper

Revision ID: r147
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r147"
down_revision = "base0000"
branch_labels = None
depends_on = None

def _outside():
    return op.get_context().autocommit_block()


def upgrade() -> None:
    with _outside():
        op.create_index('ix_hp', 'orders', ['user_id'], postgresql_concurrently=True)


def downgrade() -> None:
    pass
