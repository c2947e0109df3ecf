"""vacuum_analyze_two

Revision ID: n069
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n069"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ANALYZE users (email), orders")


def downgrade() -> None:
    pass
