"""index_only_parent

Revision ID: k087
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k087"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_log_at ON ONLY log (at)")


def downgrade() -> None:
    pass
