"""add_clock_default

Revision ID: r006
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r006"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('seen_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()')))


def downgrade() -> None:
    pass
