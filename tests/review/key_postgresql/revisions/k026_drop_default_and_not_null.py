"""drop_default_and_not_null

Revision ID: k026
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k026"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('users', 'status', server_default='new', existing_type=sa.Enum(name='user_status'))
    op.alter_column('users', 'email', nullable=True, existing_type=sa.String(100))
    op.alter_column('users', 'status', server_default=None, existing_type=sa.Enum(name='user_status'))


def downgrade() -> None:
    pass
