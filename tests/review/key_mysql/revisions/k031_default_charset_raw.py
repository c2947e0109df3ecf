"""default_charset_raw

Revision ID: k031
Revises: base0000
"""

from alembic import op

revision = "k031"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE legacy DEFAULT CHARACTER SET utf8mb4")


def downgrade() -> None:
    pass
