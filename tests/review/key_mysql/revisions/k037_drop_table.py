"""drop_table

Revision ID: k037
Revises: base0000
"""

from alembic import op

revision = "k037"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("items")


def downgrade() -> None:
    pass
