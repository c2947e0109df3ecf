"""statistics_and_storage

Revision ID: k027
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k027"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ALTER COLUMN email SET STATISTICS 500, ALTER COLUMN notes SET STORAGE EXTERNAL, ALTER COLUMN name SET (n_distinct = -0.5)")


def downgrade() -> None:
    pass
