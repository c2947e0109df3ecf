"""column_required_default_dropped

Revision ID: m013
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m013"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('flag', sa.Boolean(), nullable=False, server_default=sa.true()))
    op.alter_column('users', 'flag', server_default=None)


def downgrade() -> None:
    pass
