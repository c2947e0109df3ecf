"""column_virtual

Revision ID: k009
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k009"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN gross numeric GENERATED ALWAYS AS (total * 1.2) VIRTUAL")


def downgrade() -> None:
    pass
