"""type_using_itself

Revision ID: k056
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k056"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ALTER COLUMN notes TYPE text USING notes")


def downgrade() -> None:
    pass
