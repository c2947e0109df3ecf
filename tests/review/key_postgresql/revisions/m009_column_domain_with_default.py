"""column_domain_with_default

Revision ID: m009
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m009"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN grade posint DEFAULT 5")


def downgrade() -> None:
    pass
