"""addcol_then_index_one_tx

Revision ID: r066
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r066"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('nick', sa.Text()))
    op.create_index('ix_users_nick', 'users', ['nick'])


def downgrade() -> None:
    pass
