"""add_column_index_true

Revision ID: r141
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r141"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('nick', sa.Text(), index=True))


def downgrade() -> None:
    pass
