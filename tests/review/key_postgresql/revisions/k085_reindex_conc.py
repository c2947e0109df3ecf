"""reindex_conc

Revision ID: k085
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k085"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("REINDEX INDEX CONCURRENTLY ix_users_email")


def downgrade() -> None:
    pass
