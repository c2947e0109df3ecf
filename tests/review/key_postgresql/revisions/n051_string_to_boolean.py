"""string_to_boolean

Revision ID: n051
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n051"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ALTER COLUMN state TYPE boolean USING (state = 'open')")


def downgrade() -> None:
    pass
