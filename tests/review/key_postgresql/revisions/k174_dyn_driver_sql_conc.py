"""dyn_driver_sql_conc

Revision ID: k174
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k174"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.get_bind().exec_driver_sql("CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_driver ON orders (user_id)")


def downgrade() -> None:
    pass
