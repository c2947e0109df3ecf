"""type_collation_free

Revision ID: k064
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k064"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('ALTER TABLE users ALTER COLUMN notes TYPE text COLLATE "C"')


def downgrade() -> None:
    pass
