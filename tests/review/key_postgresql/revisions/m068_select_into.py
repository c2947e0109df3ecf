"""select_into

Revision ID: m068
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m068"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SELECT id, email INTO users_mails FROM users; CREATE UNIQUE INDEX ON users_mails (id)")


def downgrade() -> None:
    pass
