"""add_func_now

Revision ID: k003
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k003"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("seen_at", sa.DateTime(), server_default=sa.func.now()))


def downgrade() -> None:
    pass
