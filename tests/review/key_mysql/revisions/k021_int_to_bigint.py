"""int_to_bigint

Revision ID: k021
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k021"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("orders", "user_id", type_=sa.BigInteger(), existing_type=sa.Integer(), existing_nullable=True)


def downgrade() -> None:
    pass
