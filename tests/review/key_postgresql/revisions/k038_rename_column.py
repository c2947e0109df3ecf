"""rename_column

Revision ID: k038
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k038"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('orders', 'state', new_column_name='phase')


def downgrade() -> None:
    pass
