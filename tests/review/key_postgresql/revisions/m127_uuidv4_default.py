"""uuidv4_default

Revision ID: m127
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m127"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN u4 uuid DEFAULT uuidv4()")


def downgrade() -> None:
    pass
