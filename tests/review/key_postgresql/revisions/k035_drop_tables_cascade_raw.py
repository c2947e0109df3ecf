"""drop_tables_cascade_raw

Revision ID: k035
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k035"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP TABLE IF EXISTS aux.a CASCADE")


def downgrade() -> None:
    pass
