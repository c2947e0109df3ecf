"""set_expression

Revision ID: m131
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m131"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN up text GENERATED ALWAYS AS (upper(name)) STORED")


def downgrade() -> None:
    pass
