"""fillfactor_vacuum_settings

Revision ID: k194
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k194"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01)")


def downgrade() -> None:
    pass
