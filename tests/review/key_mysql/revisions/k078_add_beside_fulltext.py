"""add_beside_fulltext

Revision ID: k078
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k078"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("docs", sa.Column("title", sa.String(20)))


def downgrade() -> None:
    pass
