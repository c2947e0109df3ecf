"""partition_made_and_attached

Revision ID: n062
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n062"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE log_2032 (LIKE log INCLUDING ALL, CHECK (at >= '2032-01-01' AND at < '2033-01-01'))")
    op.execute("CREATE INDEX ON log_2032 (at)")
    op.execute("ALTER TABLE log ATTACH PARTITION log_2032 FOR VALUES FROM ('2032-01-01') TO ('2033-01-01')")


def downgrade() -> None:
    pass
