"""column_flag_then_required

Revision ID: m012
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m012"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('flag', sa.Boolean(), server_default=sa.false()))
    op.alter_column('users', 'flag', nullable=False)


def downgrade() -> None:
    pass
