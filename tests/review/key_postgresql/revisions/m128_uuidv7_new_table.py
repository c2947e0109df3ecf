"""uuidv7_new_table

Revision ID: m128
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m128"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE tokens (id uuid PRIMARY KEY DEFAULT uuidv7(), v text)")


def downgrade() -> None:
    pass
