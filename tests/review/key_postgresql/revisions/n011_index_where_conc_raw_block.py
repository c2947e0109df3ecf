"""index_where_conc_raw_block

Revision ID: n011
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n011"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_open")
        op.execute("CREATE INDEX CONCURRENTLY ix_open ON public.orders (placed_at) WHERE state = 'open'")


def downgrade() -> None:
    pass
