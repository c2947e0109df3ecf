"""type_key_that_is_referenced

Revision ID: m026
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m026"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ALTER COLUMN id TYPE bigint")


def downgrade() -> None:
    pass
