"""default_partition_new

Revision ID: n065
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n065"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE ev (a int) PARTITION BY LIST (a); CREATE TABLE ev_1 PARTITION OF ev FOR VALUES IN (1); CREATE TABLE ev_d PARTITION OF ev DEFAULT; ALTER TABLE ev DETACH PARTITION ev_1; DROP TABLE ev_1")


def downgrade() -> None:
    pass
