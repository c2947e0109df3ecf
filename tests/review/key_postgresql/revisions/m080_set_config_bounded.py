"""set_config_bounded

Revision ID: m080
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m080"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SELECT set_config('lock_timeout', '2s', true)")
    op.execute("ALTER TABLE users ADD COLUMN a int")


def downgrade() -> None:
    pass
