"""context_connection

Revision ID: m114
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m114"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_context().connection.execute(sa.text("CREATE INDEX ix_cc ON orders (total)"))


def downgrade() -> None:
    pass
