"""rename_in_new_table

Revision ID: k043
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k043"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('draft', sa.Column('id', sa.Integer(), primary_key=True), sa.Column('a', sa.Text()))
    op.alter_column('draft', 'a', new_column_name='b')
    op.rename_table('draft', 'final')


def downgrade() -> None:
    pass
