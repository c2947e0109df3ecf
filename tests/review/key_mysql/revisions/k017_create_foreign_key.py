"""create_foreign_key

Revision ID: k017
Revises: base0000
"""

from alembic import op

revision = "k017"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_foreign_key("fk_orders_user", "orders", "users", ["user_id"], ["id"])


def downgrade() -> None:
    pass
