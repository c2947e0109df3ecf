"""index_conc_partitioned

Revision ID: k090
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k090"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY ix_log_at ON log (at)")


def downgrade() -> None:
    pass
