"""attach_new_empty

Revision ID: m065
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m065"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE log_2031 (LIKE log INCLUDING DEFAULTS)")
    op.execute("ALTER TABLE log ATTACH PARTITION log_2031 FOR VALUES FROM ('2031-01-01') TO ('2032-01-01')")


def downgrade() -> None:
    pass
