"""delete_using

Revision ID: m098
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m098"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM items USING orders WHERE items.order_id = orders.id AND orders.total > 10")


def downgrade() -> None:
    pass
