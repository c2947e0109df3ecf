"""set_logged

Revision ID: k195
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k195"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE cache SET LOGGED")


def downgrade() -> None:
    pass
