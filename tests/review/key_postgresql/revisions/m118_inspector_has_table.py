"""inspector_has_table

Revision ID: m118
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m118"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if not sa.inspect(op.get_bind()).has_table('tags'):
        op.create_table('tags', sa.Column('id', sa.Integer(), primary_key=True), sa.Column('name', sa.Text(), unique=True))
    op.create_index('ix_tags', 'tags', ['name'])


def downgrade() -> None:
    pass
