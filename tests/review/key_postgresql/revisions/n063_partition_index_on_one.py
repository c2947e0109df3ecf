"""partition_index_on_one

Revision ID: n063
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n063"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_one ON log_2026 (msg)")


def downgrade() -> None:
    pass
