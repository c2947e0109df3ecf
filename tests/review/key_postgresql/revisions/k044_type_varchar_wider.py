"""type_varchar_wider

Revision ID: k044
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k044"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('users', 'email', type_=sa.String(250), existing_type=sa.String(100), existing_nullable=False)


def downgrade() -> None:
    pass
