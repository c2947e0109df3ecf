"""timeout_zero_reads_only

Revision ID: m082
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m082"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET lock_timeout TO 0")
    op.execute("SELECT count(*) FROM users")
    op.execute("RESET lock_timeout")


def downgrade() -> None:
    pass
