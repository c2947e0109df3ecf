"""type_ts_tz_utc

Revision ID: r040
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r040"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL timezone = 'UTC'")
    op.alter_column('orders', 'placed_at', type_=sa.DateTime(timezone=True), existing_type=sa.DateTime())


def downgrade() -> None:
    pass
