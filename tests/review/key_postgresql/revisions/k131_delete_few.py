"""delete_few

Revision ID: k131
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k131"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM items WHERE id IN (4, 8, 15)")


def downgrade() -> None:
    pass
