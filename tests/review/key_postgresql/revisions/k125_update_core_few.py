"""update_core_few

Revision ID: k125
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k125"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    users = sa.table('users', sa.column('id', sa.Integer), sa.column('notes', sa.Text))
    op.execute(users.update().where(users.c.id.between(10, 20)).values(notes='seen'))


def downgrade() -> None:
    pass
