"""delete_orphans

Revision ID: n030
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n030"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM items WHERE order_id NOT IN (SELECT id FROM orders WHERE total > 900)")


def downgrade() -> None:
    pass
