"""commit_hack

Revision ID: r145
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r145"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('COMMIT')
    op.execute('CREATE INDEX CONCURRENTLY ix_hack ON orders (user_id)')


def downgrade() -> None:
    pass
