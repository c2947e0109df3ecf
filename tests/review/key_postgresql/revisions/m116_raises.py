"""raises

Revision ID: m116
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m116"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    raise NotImplementedError('write me')


def downgrade() -> None:
    pass
