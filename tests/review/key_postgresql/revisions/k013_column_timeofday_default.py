"""column_timeofday_default

Revision ID: k013
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k013"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN stamped text DEFAULT timeofday()")


def downgrade() -> None:
    pass
