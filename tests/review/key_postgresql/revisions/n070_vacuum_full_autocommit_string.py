"""vacuum_full_autocommit_string

Revision ID: n070
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n070"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("COMMIT; VACUUM FULL cache")


def downgrade() -> None:
    pass
