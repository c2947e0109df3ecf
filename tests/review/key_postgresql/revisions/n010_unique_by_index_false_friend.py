"""unique_by_index_false_friend

Revision ID: n010
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n010"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('uq_users_email', 'users', ['email'], unique=True)


def downgrade() -> None:
    pass
