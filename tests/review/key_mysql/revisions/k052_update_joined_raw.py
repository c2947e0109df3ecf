"""update_joined_raw

Revision ID: k052
Revises: base0000
"""

from alembic import op

revision = "k052"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE orders JOIN users ON users.id = orders.user_id SET orders.state = users.status")


def downgrade() -> None:
    pass
