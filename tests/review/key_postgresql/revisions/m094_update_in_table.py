"""update_in_table

Revision ID: m094
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m094"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = 'x' WHERE id IN (SELECT user_id FROM orders WHERE total >= 0)")


def downgrade() -> None:
    pass
