"""asks_instant_for_type_raw

Revision ID: k062
Revises: base0000
"""

from alembic import op

revision = "k062"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders MODIFY user_id BIGINT, ALGORITHM=INSTANT")


def downgrade() -> None:
    pass
