"""column_serial

Revision ID: k010
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k010"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE lonely ADD COLUMN no serial")


def downgrade() -> None:
    pass
