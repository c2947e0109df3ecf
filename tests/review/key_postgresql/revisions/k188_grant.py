"""grant

Revision ID: k188
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k188"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("GRANT SELECT, INSERT ON users, orders TO PUBLIC")


def downgrade() -> None:
    pass
