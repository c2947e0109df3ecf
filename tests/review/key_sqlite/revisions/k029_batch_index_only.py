"""batch_index_only

Revision ID: k029
Revises: base0000
"""

from alembic import op

revision = "k029"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("orders") as batch:
        batch.create_index("ix_orders_state", ["state"])


def downgrade() -> None:
    pass
