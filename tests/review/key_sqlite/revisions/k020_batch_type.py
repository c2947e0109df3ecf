"""batch_type

Revision ID: k020
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k020"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("orders") as batch:
        batch.alter_column("user_id", type_=sa.BigInteger(), existing_type=sa.Integer())


def downgrade() -> None:
    pass
