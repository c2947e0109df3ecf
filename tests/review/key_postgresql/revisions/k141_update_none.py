"""update_none

Revision ID: k141
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k141"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET age = 0 WHERE age < 0")


def downgrade() -> None:
    pass
