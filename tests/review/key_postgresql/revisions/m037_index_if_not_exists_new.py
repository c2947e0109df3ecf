"""index_if_not_exists_new

Revision ID: m037
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m037"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('ix_new', 'items', ['sku'], unique=False, if_not_exists=True)


def downgrade() -> None:
    pass
