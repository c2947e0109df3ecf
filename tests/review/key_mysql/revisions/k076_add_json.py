"""add_json

Revision ID: k076
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k076"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("extra", sa.JSON()))


def downgrade() -> None:
    pass
