"""upsert_all

Revision ID: k137
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k137"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO users (id, email) SELECT id, 'n' || id FROM orders ON CONFLICT (id) DO UPDATE SET email = excluded.email")


def downgrade() -> None:
    pass
