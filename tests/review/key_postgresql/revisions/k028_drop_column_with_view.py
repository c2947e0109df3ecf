"""drop_column_with_view

Revision ID: k028
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k028"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users DROP COLUMN age CASCADE")


def downgrade() -> None:
    pass
