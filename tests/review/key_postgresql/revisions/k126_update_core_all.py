"""update_core_all

Revision ID: k126
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k126"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    users = sa.table('users', sa.column('id', sa.Integer), sa.column('notes', sa.Text))
    op.execute(users.update().values(notes=sa.func.coalesce(users.c.notes, '')))


def downgrade() -> None:
    pass
