"""exchange_partition_raw

Revision ID: k043
Revises: base0000
"""

from alembic import op

revision = "k043"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE log EXCHANGE PARTITION p2026 WITH TABLE log_new")


def downgrade() -> None:
    pass
