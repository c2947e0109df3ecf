"""add_required_with_default

Revision ID: k002
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k002"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("tries", sa.SmallInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    pass
