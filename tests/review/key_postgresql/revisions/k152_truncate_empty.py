"""truncate_empty

Revision ID: k152
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k152"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("TRUNCATE empty_table")


def downgrade() -> None:
    pass
