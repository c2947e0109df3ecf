"""type_on_empty

Revision ID: k066
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k066"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE empty_table ALTER COLUMN val TYPE int USING val::int, ALTER COLUMN id TYPE bigint")


def downgrade() -> None:
    pass
