"""begin_commit_in_string

Revision ID: m087
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m087"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("BEGIN; ALTER TABLE users ADD COLUMN q int; COMMIT")


def downgrade() -> None:
    pass
