"""type_numeric_unbounded

Revision ID: k049
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k049"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ALTER total SET DATA TYPE numeric")


def downgrade() -> None:
    pass
