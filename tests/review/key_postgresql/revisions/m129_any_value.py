"""any_value

Revision ID: m129
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m129"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SELECT any_value(id) FROM users")


def downgrade() -> None:
    pass
