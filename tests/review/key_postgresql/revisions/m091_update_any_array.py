"""update_any_array

Revision ID: m091
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m091"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = 'x' WHERE id = ANY ('{1,2,3}'::int[])")


def downgrade() -> None:
    pass
