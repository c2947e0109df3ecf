"""add_stored

Revision ID: k006
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k006"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("cents", sa.Integer(), sa.Computed("total * 100", persisted=True)))


def downgrade() -> None:
    pass
