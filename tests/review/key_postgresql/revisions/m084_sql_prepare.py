"""sql_prepare

Revision ID: m084
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m084"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("PREPARE p AS UPDATE users SET notes = 'x'; EXECUTE p; DEALLOCATE p")


def downgrade() -> None:
    pass
