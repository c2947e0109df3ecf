"""type_partitions

Revision ID: m027
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m027"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE log ALTER COLUMN msg TYPE varchar(100)")


def downgrade() -> None:
    pass
