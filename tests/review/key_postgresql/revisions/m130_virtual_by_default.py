"""virtual_by_default

Revision ID: m130
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m130"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN twice numeric GENERATED ALWAYS AS (total * 2)")


def downgrade() -> None:
    pass
