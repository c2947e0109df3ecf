"""type_using_expression

Revision ID: m030
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m030"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ALTER COLUMN notes TYPE text USING trim(notes)")


def downgrade() -> None:
    pass
