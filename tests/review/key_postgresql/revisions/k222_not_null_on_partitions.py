"""not_null_on_partitions

Revision ID: k222
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k222"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('log', 'msg', nullable=False)


def downgrade() -> None:
    pass
