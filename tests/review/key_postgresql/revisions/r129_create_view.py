"""create_view

Revision ID: r129
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r129"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('CREATE VIEW v2 AS SELECT id FROM users')


def downgrade() -> None:
    pass
