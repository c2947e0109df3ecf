"""drop_table_if_exists_alembic

Revision ID: n049
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n049"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table('never_was', if_exists=True)


def downgrade() -> None:
    pass
