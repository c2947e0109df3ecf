"""column_required_without_default

Revision ID: k006
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k006"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('country', sa.String(2), nullable=False))


def downgrade() -> None:
    pass
