"""publication

Revision ID: k193
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k193"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE PUBLICATION changes FOR TABLE orders, items")
    op.execute("ALTER TABLE orders REPLICA IDENTITY FULL")


def downgrade() -> None:
    pass
