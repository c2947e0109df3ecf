"""access_method_same

Revision ID: n066
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n066"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders SET ACCESS METHOD heap")


def downgrade() -> None:
    pass
