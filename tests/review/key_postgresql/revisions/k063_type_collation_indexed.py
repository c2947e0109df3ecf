"""type_collation_indexed

Revision ID: k063
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k063"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('ALTER TABLE users ALTER COLUMN email TYPE varchar(100) COLLATE "C"')


def downgrade() -> None:
    pass
