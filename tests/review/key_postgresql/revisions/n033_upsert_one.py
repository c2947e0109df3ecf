"""upsert_one

Revision ID: n033
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n033"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO users (id, email) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET email = excluded.email")


def downgrade() -> None:
    pass
