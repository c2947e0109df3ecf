"""add_primary_key

Revision ID: k067
Revises: base0000
"""

from alembic import op

revision = "k067"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_primary_key("pk_lonely", "lonely", ["id"])


def downgrade() -> None:
    pass
