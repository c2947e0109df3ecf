"""delete_from_empty

Revision ID: k133
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k133"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM empty_table WHERE val IS NOT NULL; UPDATE empty_table SET val = 'x'")


def downgrade() -> None:
    pass
