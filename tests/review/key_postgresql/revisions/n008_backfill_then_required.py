"""backfill_then_required

Revision ID: n008
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n008"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("currency", sa.String(3), nullable=True))
    op.execute("UPDATE orders SET currency = 'EUR' WHERE currency IS NULL")
    op.alter_column("orders", "currency", nullable=False)


def downgrade() -> None:
    pass
