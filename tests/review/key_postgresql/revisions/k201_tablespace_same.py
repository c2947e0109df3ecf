"""tablespace_same

Revision ID: k201
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k201"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders SET TABLESPACE pg_default")


def downgrade() -> None:
    pass
