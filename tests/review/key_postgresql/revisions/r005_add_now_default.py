"""add_now_default

Revision ID: r005
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r005"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()))


def downgrade() -> None:
    pass
