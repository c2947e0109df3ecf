"""not_null_already

Revision ID: k071
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k071"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ALTER COLUMN email SET NOT NULL")


def downgrade() -> None:
    pass
