"""create_foreign_key_unchecked

Revision ID: k018
Revises: base0000
"""

from alembic import op

revision = "k018"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET foreign_key_checks = 0")
    op.create_foreign_key("fk_orders_user", "orders", "users", ["user_id"], ["id"])
    op.execute("SET foreign_key_checks = 1")


def downgrade() -> None:
    pass
