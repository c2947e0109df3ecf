"""column_inline_reference_with_default

Revision ID: k015
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k015"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN buyer_id int DEFAULT 1 REFERENCES users (id)")


def downgrade() -> None:
    pass
