"""column_required_on_empty

Revision ID: k007
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k007"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('empty_table', sa.Column('country', sa.String(2), nullable=False))


def downgrade() -> None:
    pass
