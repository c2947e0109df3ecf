"""drop_partition

Revision ID: m071
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m071"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP TABLE log_2026")


def downgrade() -> None:
    pass
