"""attach_proven

Revision ID: k204
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k204"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE log ATTACH PARTITION log_2028 FOR VALUES FROM ('2028-01-01') TO ('2029-01-01')")


def downgrade() -> None:
    pass
