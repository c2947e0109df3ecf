"""new_partitioned_family

Revision ID: m064
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m064"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE events (at date NOT NULL, v int) PARTITION BY RANGE (at)")
    for year in (2030, 2031):
        op.execute(f"CREATE TABLE events_{year} PARTITION OF events FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')")
    op.create_index('ix_events', 'events', ['v'])


def downgrade() -> None:
    pass
