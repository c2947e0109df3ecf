"""drop_table_used

Revision ID: k033
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k033"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table('cache')


def downgrade() -> None:
    pass
