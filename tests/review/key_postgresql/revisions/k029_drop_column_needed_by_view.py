"""drop_column_needed_by_view

Revision ID: k029
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k029"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column('users', 'age')


def downgrade() -> None:
    pass
