"""fk_cascade_replaced

Revision ID: n017
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n017"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("fk_items_order", "items", type_="foreignkey")
    op.create_foreign_key(None, "items", "orders", ["order_id"], ["id"], ondelete="CASCADE")


def downgrade() -> None:
    pass
