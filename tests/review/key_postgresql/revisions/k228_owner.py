"""owner

Revision ID: k228
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k228"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users OWNER TO CURRENT_USER; ALTER TABLE users OWNER TO postgres")


def downgrade() -> None:
    pass
