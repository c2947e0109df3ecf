"""set_not_null

Revision ID: r050
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r050"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('orders', 'user_id', nullable=False)


def downgrade() -> None:
    pass
