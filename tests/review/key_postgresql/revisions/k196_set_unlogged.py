"""set_unlogged

Revision ID: k196
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k196"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE lonely SET UNLOGGED")


def downgrade() -> None:
    pass
