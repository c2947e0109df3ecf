"""swap_names

Revision ID: n045
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n045"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.rename_table("cache", "cache_old")
    op.create_table("cache", sa.Column("k", sa.Integer()), sa.Column("v", sa.Text()))


def downgrade() -> None:
    pass
