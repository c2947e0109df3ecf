"""optimize_raw

Revision ID: k045
Revises: base0000
"""

from alembic import op

revision = "k045"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("OPTIMIZE TABLE users")


def downgrade() -> None:
    pass
