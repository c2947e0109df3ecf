"""update_all

Revision ID: r086
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r086"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = 'x'")


def downgrade() -> None:
    pass
