"""timeout_zero_then_set

Revision ID: m083
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m083"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET lock_timeout = 0")
    op.execute("SET lock_timeout = '1s'")
    op.add_column('users', sa.Column('a', sa.Integer()))


def downgrade() -> None:
    pass
