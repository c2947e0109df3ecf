"""column_domain_not_null

Revision ID: m011
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m011"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE DOMAIN named AS text NOT NULL DEFAULT 'x'; ALTER TABLE orders ADD COLUMN label named")


def downgrade() -> None:
    pass
