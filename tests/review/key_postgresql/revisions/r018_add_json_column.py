"""add_json_column

Revision ID: r018
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r018"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('meta', sa.JSON()))


def downgrade() -> None:
    pass
