"""vacuum

Revision ID: k200
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k200"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("VACUUM (ANALYZE) orders")


def downgrade() -> None:
    pass
