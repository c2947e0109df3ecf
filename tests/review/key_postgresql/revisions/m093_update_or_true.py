"""update_or_true

Revision ID: m093
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m093"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = 'x' WHERE id = 1 OR notes IS NULL")


def downgrade() -> None:
    pass
