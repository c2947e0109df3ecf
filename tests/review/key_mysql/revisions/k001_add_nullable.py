"""add_nullable

Revision ID: k001
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k001"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("nick", sa.Text()))


def downgrade() -> None:
    pass
