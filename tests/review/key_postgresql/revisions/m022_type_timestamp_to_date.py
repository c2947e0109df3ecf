"""type_timestamp_to_date

Revision ID: m022
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m022"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ALTER COLUMN placed_at TYPE date USING placed_at::date")


def downgrade() -> None:
    pass
