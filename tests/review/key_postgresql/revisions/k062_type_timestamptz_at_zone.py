"""type_timestamptz_at_zone

Revision ID: k062
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k062"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('orders', 'placed_at', type_=sa.DateTime(timezone=True), postgresql_using="placed_at AT TIME ZONE 'UTC'")


def downgrade() -> None:
    pass
