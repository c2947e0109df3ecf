"""add_partition_raw

Revision ID: k040
Revises: base0000
"""

from alembic import op

revision = "k040"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE log ADD PARTITION (PARTITION p2027 VALUES LESS THAN (2028))")


def downgrade() -> None:
    pass
