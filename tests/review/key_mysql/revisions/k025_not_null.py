"""not_null

Revision ID: k025
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k025"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("orders", "state", nullable=False, existing_type=sa.String(20))


def downgrade() -> None:
    pass
