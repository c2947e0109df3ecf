"""column_uuid_default

Revision ID: k004
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k004"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN public_id uuid NOT NULL DEFAULT gen_random_uuid()")


def downgrade() -> None:
    pass
