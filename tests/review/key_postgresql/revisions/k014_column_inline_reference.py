"""column_inline_reference

Revision ID: k014
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k014"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN buyer_id int REFERENCES users (id)")


def downgrade() -> None:
    pass
