"""new_table_filled_then_fk_not_valid

Revision ID: k117
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k117"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('buyers', sa.Column('user_id', sa.Integer()), sa.Column('total', sa.Numeric()))
    op.execute("INSERT INTO buyers SELECT user_id, sum(total) FROM orders GROUP BY user_id")
    op.execute("ALTER TABLE buyers ADD FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID")


def downgrade() -> None:
    pass
