"""type_of_partition_key

Revision ID: m028
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m028"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE log ALTER COLUMN at TYPE timestamp")


def downgrade() -> None:
    pass
