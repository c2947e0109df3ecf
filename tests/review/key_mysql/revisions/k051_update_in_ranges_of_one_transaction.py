"""update_in_ranges_of_one_transaction

Revision ID: k051
Revises: base0000
"""

from alembic import op

revision = "k051"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for low in range(0, 20_000, 1_000):
        op.execute(f"UPDATE users SET age = 1 WHERE id BETWEEN {low + 1} AND {low + 1_000}")


def downgrade() -> None:
    pass
