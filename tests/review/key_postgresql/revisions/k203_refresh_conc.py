"""refresh_conc

Revision ID: k203
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k203"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY mv")


def downgrade() -> None:
    pass
