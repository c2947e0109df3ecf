"""dyn_inspector_skips

Revision ID: k171
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k171"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    indexes = {index['name'] for index in sa.inspect(op.get_bind()).get_indexes('users')}
    if 'ix_users_email' not in indexes:
        op.create_index('ix_users_email', 'users', ['email'])


def downgrade() -> None:
    pass
