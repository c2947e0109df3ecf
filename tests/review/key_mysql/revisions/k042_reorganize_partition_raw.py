"""reorganize_partition_raw

Revision ID: k042
Revises: base0000
"""

from alembic import op

revision = "k042"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE log REORGANIZE PARTITION p2025, p2026 INTO (PARTITION p_all VALUES LESS THAN (2027))")


def downgrade() -> None:
    pass
