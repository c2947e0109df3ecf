"""rename_table

Revision ID: k037
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k037"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.rename_table('lonely', 'alone')


def downgrade() -> None:
    pass
