"""update_all

Revision ID: k046
Revises: base0000
"""

from alembic import op

revision = "k046"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = 'x'")


def downgrade() -> None:
    pass
