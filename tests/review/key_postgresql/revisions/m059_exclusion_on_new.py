"""exclusion_on_new

Revision ID: m059
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m059"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE rooms (room int, during tstzrange, EXCLUDE USING gist (during WITH &&))")


def downgrade() -> None:
    pass
