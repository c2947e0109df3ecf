"""index_tablespace

Revision ID: m044
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m044"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_ts ON orders (total) TABLESPACE ts1")


def downgrade() -> None:
    pass
