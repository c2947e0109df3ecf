"""drop_table_of_this_revision

Revision ID: k036
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k036"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('staging', sa.Column('id', sa.Integer()))
    op.execute("INSERT INTO staging SELECT id FROM users")
    op.drop_table('staging')


def downgrade() -> None:
    pass
