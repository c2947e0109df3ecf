"""rls_off

Revision ID: m077
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m077"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users DISABLE ROW LEVEL SECURITY")


def downgrade() -> None:
    pass
