"""drop_column_of_this_revision

Revision ID: k030
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k030"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('scratch', sa.Text()))
    op.drop_column('users', 'scratch')


def downgrade() -> None:
    pass
