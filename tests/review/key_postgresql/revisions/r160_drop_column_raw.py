"""drop_column_raw

Revision ID: r160
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r160"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('ALTER TABLE users DROP COLUMN IF EXISTS notes')


def downgrade() -> None:
    pass
