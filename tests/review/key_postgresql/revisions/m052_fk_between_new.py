"""fk_between_new

Revision ID: m052
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m052"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('parents', sa.Column('id', sa.Integer(), primary_key=True))
    op.create_table('children', sa.Column('id', sa.Integer(), primary_key=True), sa.Column('parent_id', sa.Integer()))
    op.create_foreign_key('fk_parent', 'children', 'parents', ['parent_id'], ['id'])
    op.execute("INSERT INTO parents SELECT id FROM users; INSERT INTO children SELECT id, id FROM users")
    op.execute("ALTER TABLE children ADD CHECK (id > 0), ALTER COLUMN parent_id SET NOT NULL")


def downgrade() -> None:
    pass
