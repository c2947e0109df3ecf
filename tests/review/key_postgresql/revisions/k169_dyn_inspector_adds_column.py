"""dyn_inspector_adds_column

Revision ID: k169
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k169"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    columns = {column['name'] for column in sa.inspect(op.get_bind()).get_columns('users')}
    if 'nick' not in columns:
        op.add_column('users', sa.Column('nick', sa.Text()))


def downgrade() -> None:
    pass
