"""constraint_drop_absent

Revision ID: m055
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m055"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders DROP CONSTRAINT IF EXISTS never_was")


def downgrade() -> None:
    pass
