"""exec_string

Revision ID: m124
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m124"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    exec("op.create_index('ix_e', 'orders', ['total'])")


def downgrade() -> None:
    pass
