"""for_update_few

Revision ID: k156
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k156"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SELECT id FROM users WHERE id <= 10 FOR UPDATE SKIP LOCKED")


def downgrade() -> None:
    pass
