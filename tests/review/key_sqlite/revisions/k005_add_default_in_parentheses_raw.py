"""add_default_in_parentheses_raw

Revision ID: k005
Revises: base0000
"""

from alembic import op

revision = "k005"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN level INTEGER DEFAULT (-1)")


def downgrade() -> None:
    pass
