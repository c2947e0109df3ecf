"""comment

Revision ID: r125
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r125"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("COMMENT ON TABLE users IS 'people'")


def downgrade() -> None:
    pass
