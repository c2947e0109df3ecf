"""ddl_then_update

Revision ID: r096
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r096"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('nick', sa.Text()))
    op.execute('UPDATE users SET nick = name')


def downgrade() -> None:
    pass
