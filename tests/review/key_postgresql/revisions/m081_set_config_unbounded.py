"""set_config_unbounded

Revision ID: m081
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m081"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SELECT set_config('lock_timeout', '0', true)")
    op.execute("ALTER TABLE users ADD COLUMN a int")


def downgrade() -> None:
    pass
