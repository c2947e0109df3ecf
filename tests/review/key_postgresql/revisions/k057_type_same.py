"""type_same

Revision ID: k057
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k057"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('users', 'email', type_=sa.String(100), existing_type=sa.String(100))


def downgrade() -> None:
    pass
