"""partition_by_raw

Revision ID: k039
Revises: base0000
"""

from alembic import op

revision = "k039"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE legacy PARTITION BY HASH (id) PARTITIONS 4")


def downgrade() -> None:
    pass
