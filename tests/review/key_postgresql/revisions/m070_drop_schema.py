"""drop_schema

Revision ID: m070
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m070"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP SCHEMA aux CASCADE")


def downgrade() -> None:
    pass
