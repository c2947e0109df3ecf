"""table_comment

Revision ID: k069
Revises: base0000
"""

from alembic import op

revision = "k069"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table_comment("users", "who buys")


def downgrade() -> None:
    pass
