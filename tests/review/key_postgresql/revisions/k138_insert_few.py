"""insert_few

Revision ID: k138
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k138"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.bulk_insert(sa.table('users', sa.column('id', sa.Integer), sa.column('email', sa.String)), [{'id': 900001, 'email': 'a'}, {'id': 900002, 'email': 'b'}])
    op.execute("INSERT INTO orders (id, user_id, state) VALUES (900001, 1, 'new') ON CONFLICT DO NOTHING")


def downgrade() -> None:
    pass
