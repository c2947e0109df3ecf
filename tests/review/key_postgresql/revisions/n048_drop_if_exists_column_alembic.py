"""drop_if_exists_column_alembic

Revision ID: n048
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n048"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column('users', 'code', if_exists=True)


def downgrade() -> None:
    pass
