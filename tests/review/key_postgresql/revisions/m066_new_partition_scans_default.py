"""new_partition_scans_default

Revision ID: m066
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m066"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE log_2020 PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')")


def downgrade() -> None:
    pass
