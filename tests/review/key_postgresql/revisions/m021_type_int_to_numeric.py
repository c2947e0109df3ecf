"""type_int_to_numeric

Revision ID: m021
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m021"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ALTER COLUMN user_id TYPE numeric(20)")


def downgrade() -> None:
    pass
