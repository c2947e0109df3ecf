"""drop_type_unused

Revision ID: m072
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m072"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TYPE t1 AS ENUM ('a'); DROP TYPE t1; DROP FUNCTION IF EXISTS never(); DROP VIEW IF EXISTS never")


def downgrade() -> None:
    pass
