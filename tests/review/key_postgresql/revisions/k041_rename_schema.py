"""rename_schema

Revision ID: k041
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k041"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER SCHEMA aux RENAME TO auxiliary")


def downgrade() -> None:
    pass
