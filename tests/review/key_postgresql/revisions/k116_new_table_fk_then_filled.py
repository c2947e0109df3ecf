"""new_table_fk_then_filled

Revision ID: k116
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k116"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('buyers', sa.Column('user_id', sa.Integer(), sa.ForeignKey('users.id')), sa.Column('total', sa.Numeric()))
    op.execute("INSERT INTO buyers SELECT user_id, sum(total) FROM orders GROUP BY user_id")


def downgrade() -> None:
    pass
