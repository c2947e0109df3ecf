"""swap_tables_raw

Revision ID: k036
Revises: base0000
"""

from alembic import op

revision = "k036"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("RENAME TABLE orders TO orders_old, empty_table TO orders")


def downgrade() -> None:
    pass
