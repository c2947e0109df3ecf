"""index_partitions_by_hand

Revision ID: k089
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k089"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_log_at ON ONLY log (at)")
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY ix_log_at_26 ON log_2026 (at)")
        op.execute("CREATE INDEX CONCURRENTLY ix_log_at_def ON log_def (at)")
    op.execute("ALTER INDEX ix_log_at ATTACH PARTITION ix_log_at_26")
    op.execute("ALTER INDEX ix_log_at ATTACH PARTITION ix_log_at_def")


def downgrade() -> None:
    pass
