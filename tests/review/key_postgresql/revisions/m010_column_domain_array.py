"""column_domain_array

Revision ID: m010
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m010"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN grades posint[]")


def downgrade() -> None:
    pass
