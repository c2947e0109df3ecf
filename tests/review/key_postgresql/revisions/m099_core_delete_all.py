"""core_delete_all

Revision ID: m099
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m099"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.delete(sa.table('items')))


def downgrade() -> None:
    pass
