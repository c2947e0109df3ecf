"""batches_in_autocommit_too_large

Revision ID: k135
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k135"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("UPDATE users SET notes = '' WHERE id <= 10000")
        op.execute("UPDATE users SET notes = '' WHERE id > 10000")


def downgrade() -> None:
    pass
