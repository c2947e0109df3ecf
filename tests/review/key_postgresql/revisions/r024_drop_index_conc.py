"""drop_index_conc

Revision ID: r024
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r024"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index('ix_users_email', 'users', postgresql_concurrently=True)


def downgrade() -> None:
    pass
