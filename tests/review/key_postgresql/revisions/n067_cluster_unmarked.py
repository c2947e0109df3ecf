"""cluster_unmarked

Revision ID: n067
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n067"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders SET WITHOUT CLUSTER")


def downgrade() -> None:
    pass
