"""partition_check_not_valid_then_attach

Revision ID: n064
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n064"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE log_2027 ADD CONSTRAINT c3 CHECK (at >= '2027-01-01' AND at < '2028-01-01') NOT VALID; ALTER TABLE log ATTACH PARTITION log_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')")


def downgrade() -> None:
    pass
