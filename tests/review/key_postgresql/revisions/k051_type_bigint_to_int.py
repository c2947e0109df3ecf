"""type_bigint_to_int

Revision ID: k051
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k051"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE items ALTER COLUMN id TYPE integer")


def downgrade() -> None:
    pass
