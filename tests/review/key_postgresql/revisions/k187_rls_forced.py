"""rls_forced

Revision ID: k187
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k187"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    pass
