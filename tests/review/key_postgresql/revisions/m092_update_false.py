"""update_false

Revision ID: m092
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m092"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = 'x' WHERE false")


def downgrade() -> None:
    pass
