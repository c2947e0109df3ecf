"""index_table_not_new

Revision ID: m048
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m048"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE IF NOT EXISTS users (id int PRIMARY KEY, email text)")
    op.execute("CREATE INDEX ix_not_new ON users (name)")


def downgrade() -> None:
    pass
