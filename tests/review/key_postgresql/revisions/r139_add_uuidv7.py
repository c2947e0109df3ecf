"""add_uuidv7

Revision ID: r139
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r139"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('u7', sa.Uuid(), server_default=sa.text('uuidv7()')))


def downgrade() -> None:
    pass
