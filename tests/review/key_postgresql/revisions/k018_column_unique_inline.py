"""column_unique_inline

Revision ID: k018
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k018"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN number varchar(20) UNIQUE")


def downgrade() -> None:
    pass
