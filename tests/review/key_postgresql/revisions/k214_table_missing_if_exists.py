"""table_missing_if_exists

Revision ID: k214
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k214"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE IF EXISTS clients ADD COLUMN a int DEFAULT random()")


def downgrade() -> None:
    pass
