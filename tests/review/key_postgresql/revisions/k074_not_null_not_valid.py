"""not_null_not_valid

Revision ID: k074
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k074"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD CONSTRAINT user_nn NOT NULL user_id NOT VALID")


def downgrade() -> None:
    pass
