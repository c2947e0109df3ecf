"""not_null_partitioned

Revision ID: k077
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k077"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE ONLY log ALTER COLUMN msg SET NOT NULL")


def downgrade() -> None:
    pass
