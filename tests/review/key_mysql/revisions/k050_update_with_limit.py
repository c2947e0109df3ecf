"""update_with_limit

Revision ID: k050
Revises: base0000
"""

from alembic import op

revision = "k050"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = 'x' WHERE notes IS NULL LIMIT 500")


def downgrade() -> None:
    pass
