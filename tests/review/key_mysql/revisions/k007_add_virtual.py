"""add_virtual

Revision ID: k007
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k007"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("cents", sa.Integer(), sa.Computed("total * 100", persisted=False)))


def downgrade() -> None:
    pass
