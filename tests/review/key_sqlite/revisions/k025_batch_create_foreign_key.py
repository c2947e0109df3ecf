"""batch_create_foreign_key

Revision ID: k025
Revises: base0000
"""

from alembic import op

revision = "k025"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("orders") as batch:
        batch.create_foreign_key("fk_orders_user", "users", ["user_id"], ["id"])


def downgrade() -> None:
    pass
