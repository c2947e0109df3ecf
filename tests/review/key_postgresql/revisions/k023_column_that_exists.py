"""column_that_exists

Revision ID: k023
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k023"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS email varchar(100) DEFAULT md5(random()::text)")


def downgrade() -> None:
    pass
