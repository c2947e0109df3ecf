"""composite_column

Revision ID: m018
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m018"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TYPE point2 AS (x int, y int); ALTER TABLE orders ADD COLUMN place point2, ADD COLUMN span int4range DEFAULT '[1,5)'")


def downgrade() -> None:
    pass
