"""index_rename_absent

Revision ID: m045
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m045"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER INDEX IF EXISTS ix_never RENAME TO ix_ever")


def downgrade() -> None:
    pass
