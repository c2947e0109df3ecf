"""toast_settings

Revision ID: n068
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n068"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users SET (toast.autovacuum_enabled = false, parallel_workers = 2)")


def downgrade() -> None:
    pass
