"""type_text_to_varchar_unbounded

Revision ID: k058
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k058"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ALTER COLUMN name TYPE varchar")


def downgrade() -> None:
    pass
