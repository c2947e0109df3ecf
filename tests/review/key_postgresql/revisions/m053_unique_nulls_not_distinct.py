"""unique_nulls_not_distinct

Revision ID: m053
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m053"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE items ADD CONSTRAINT uq_sku UNIQUE NULLS NOT DISTINCT (sku, id)")


def downgrade() -> None:
    pass
