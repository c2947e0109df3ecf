"""autocommit_block_alter

Revision ID: n014
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n014"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE users ALTER COLUMN age TYPE bigint")


def downgrade() -> None:
    pass
