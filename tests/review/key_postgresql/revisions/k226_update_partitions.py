"""update_partitions

Revision ID: k226
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k226"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE log SET msg = lower(msg)")


def downgrade() -> None:
    pass
