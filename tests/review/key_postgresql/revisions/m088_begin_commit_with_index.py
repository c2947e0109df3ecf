"""begin_commit_with_index

Revision ID: m088
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m088"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("BEGIN; CREATE INDEX ix_q ON users (age); COMMIT")


def downgrade() -> None:
    pass
