"""add_current_timestamp

Revision ID: k004
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k004"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("seen_at", sa.DateTime(), nullable=False, server_default=sa.text("CURRENT_TIMESTAMP")))


def downgrade() -> None:
    pass
