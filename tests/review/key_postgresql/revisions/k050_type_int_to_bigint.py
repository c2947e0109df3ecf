"""type_int_to_bigint

Revision ID: k050
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k050"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('orders', 'user_id', type_=sa.BigInteger(), existing_type=sa.Integer())


def downgrade() -> None:
    pass
