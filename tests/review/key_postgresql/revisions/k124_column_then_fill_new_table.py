"""column_then_fill_new_table

Revision ID: k124
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k124"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('nick', sa.Text()))
    op.execute("CREATE TABLE names AS SELECT id, name FROM orders JOIN users USING (id)")


def downgrade() -> None:
    pass
