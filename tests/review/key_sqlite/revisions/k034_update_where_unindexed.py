"""update_where_unindexed

Revision ID: k034
Revises: base0000
"""

from alembic import op

revision = "k034"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = 'x' WHERE name = 'name 7'")


def downgrade() -> None:
    pass
