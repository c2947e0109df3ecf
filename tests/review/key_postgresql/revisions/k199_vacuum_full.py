"""vacuum_full

Revision ID: k199
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k199"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("VACUUM (FULL, ANALYZE) orders")


def downgrade() -> None:
    pass
