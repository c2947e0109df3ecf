"""drop_column

Revision ID: r020
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r020"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column('users', 'notes')


def downgrade() -> None:
    pass
