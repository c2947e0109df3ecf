"""index_drop_absent

Revision ID: m041
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m041"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP INDEX IF EXISTS ix_never_was")


def downgrade() -> None:
    pass
