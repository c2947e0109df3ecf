"""insert_all_conflict

Revision ID: m089
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m089"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO users (id, email) SELECT id, email FROM users ON CONFLICT (id) DO NOTHING")


def downgrade() -> None:
    pass
