"""convert_charset_raw

Revision ID: k030
Revises: base0000
"""

from alembic import op

revision = "k030"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE legacy CONVERT TO CHARACTER SET utf8mb4")


def downgrade() -> None:
    pass
