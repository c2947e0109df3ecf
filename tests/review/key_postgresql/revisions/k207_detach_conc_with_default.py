"""detach_conc_with_default

Revision ID: k207
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k207"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE log DETACH PARTITION log_2026 CONCURRENTLY")


def downgrade() -> None:
    pass
