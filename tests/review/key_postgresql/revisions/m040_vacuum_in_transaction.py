"""vacuum_in_transaction

Revision ID: m040
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m040"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("VACUUM users")


def downgrade() -> None:
    pass
