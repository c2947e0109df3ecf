"""drop_column_that_never_was

Revision ID: m016
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m016"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users DROP COLUMN IF EXISTS never_was")


def downgrade() -> None:
    pass
