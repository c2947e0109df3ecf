"""truncate_used

Revision ID: k151
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k151"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("TRUNCATE TABLE lonely RESTART IDENTITY")


def downgrade() -> None:
    pass
