"""update_by_key

Revision ID: k047
Revises: base0000
"""

from alembic import op

revision = "k047"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = 'x' WHERE id IN (1, 2, 3)")


def downgrade() -> None:
    pass
