"""drop_and_create_again

Revision ID: m069
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m069"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP TABLE cache; CREATE UNLOGGED TABLE cache (k int PRIMARY KEY, v text)")


def downgrade() -> None:
    pass
