"""fk_deferrable

Revision ID: k111
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k111"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE items ALTER CONSTRAINT fk_items_order DEFERRABLE INITIALLY DEFERRED")


def downgrade() -> None:
    pass
