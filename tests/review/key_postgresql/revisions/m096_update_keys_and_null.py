"""update_keys_and_null

Revision ID: m096
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m096"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = 'x' WHERE id IN (1, 2) AND notes IS NULL")


def downgrade() -> None:
    pass
