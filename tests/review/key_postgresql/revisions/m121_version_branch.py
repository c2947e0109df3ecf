"""version_branch

Revision ID: m121
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m121"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    version = op.get_bind().dialect.server_version_info
    if version is not None and version >= (9, 6):
        with op.get_context().autocommit_block():
            op.create_index('ix_v', 'orders', ['total'], postgresql_concurrently=True)
    else:
        op.create_index('ix_v', 'orders', ['total'])


def downgrade() -> None:
    pass
