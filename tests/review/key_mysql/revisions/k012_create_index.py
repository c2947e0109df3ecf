"""create_index

Revision ID: k012
Revises: base0000
"""

from alembic import op

revision = "k012"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_orders_state", "orders", ["state"])


def downgrade() -> None:
    pass
