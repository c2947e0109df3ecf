"""not_null_has_nulls

Revision ID: k075
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k075"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('users', 'notes', nullable=False)


def downgrade() -> None:
    pass
