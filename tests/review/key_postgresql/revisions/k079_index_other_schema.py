"""index_other_schema

Revision ID: k079
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k079"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('ix_a', 'a', ['id'], schema='aux')


def downgrade() -> None:
    pass
