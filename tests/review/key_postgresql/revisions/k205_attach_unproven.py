"""attach_unproven

Revision ID: k205
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k205"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE log ATTACH PARTITION log_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')")


def downgrade() -> None:
    pass
