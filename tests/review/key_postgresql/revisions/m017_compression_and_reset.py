"""compression_and_reset

Revision ID: m017
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m017"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ALTER COLUMN notes SET COMPRESSION pglz, ALTER COLUMN email RESET (n_distinct)")


def downgrade() -> None:
    pass
