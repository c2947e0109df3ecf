"""default_then_required

Revision ID: n009
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n009"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ALTER COLUMN total SET DEFAULT 0, ALTER COLUMN total SET NOT NULL")


def downgrade() -> None:
    pass
