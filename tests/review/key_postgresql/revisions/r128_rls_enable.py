"""rls_enable

Revision ID: r128
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r128"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('ALTER TABLE users ENABLE ROW LEVEL SECURITY')


def downgrade() -> None:
    pass
