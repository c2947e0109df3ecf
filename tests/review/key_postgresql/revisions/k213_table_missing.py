"""table_missing

Revision ID: k213
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k213"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE clients ADD COLUMN a int")


def downgrade() -> None:
    pass
