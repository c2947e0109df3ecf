"""lock_timeout_retry_loop

Revision ID: n056
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n056"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for attempt in range(3):
        try:
            with op.get_bind().begin_nested():
                op.execute("SET LOCAL lock_timeout = '500ms'")
                op.execute("ALTER TABLE users ADD COLUMN tried int")
            break
        except sa.exc.OperationalError:
            if attempt == 2:
                raise


def downgrade() -> None:
    pass
