"""add_required_without_default

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
    op.add_column("orders", sa.Column("tries", sa.SmallInteger(), nullable=False))


def downgrade() -> None:
    pass
