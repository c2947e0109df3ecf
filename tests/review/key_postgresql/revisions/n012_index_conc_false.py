"""index_conc_false

Revision ID: n012
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n012"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('ix_sku', 'items', ['sku'], postgresql_concurrently=False)


def downgrade() -> None:
    pass
