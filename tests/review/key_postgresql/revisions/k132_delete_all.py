"""delete_all

Revision ID: k132
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k132"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM lonely")


def downgrade() -> None:
    pass
