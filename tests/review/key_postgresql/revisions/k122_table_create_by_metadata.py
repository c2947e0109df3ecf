"""table_create_by_metadata

Revision ID: k122
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k122"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    metadata = sa.MetaData()
    sa.Table('tags', metadata, sa.Column('id', sa.Integer(), primary_key=True), sa.Column('name', sa.Text(), index=True))
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    pass
