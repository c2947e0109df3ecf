"""drop_partition_raw

Revision ID: k041
Revises: base0000
"""

from alembic import op

revision = "k041"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE log DROP PARTITION p2025")


def downgrade() -> None:
    pass
