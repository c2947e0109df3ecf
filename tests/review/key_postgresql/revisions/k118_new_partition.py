"""new_partition

Revision ID: k118
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k118"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE log_2030 PARTITION OF log FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')")


def downgrade() -> None:
    pass
