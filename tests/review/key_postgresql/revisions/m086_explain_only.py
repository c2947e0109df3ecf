"""explain_only

Revision ID: m086
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m086"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("EXPLAIN UPDATE users SET notes = 'x'")


def downgrade() -> None:
    pass
