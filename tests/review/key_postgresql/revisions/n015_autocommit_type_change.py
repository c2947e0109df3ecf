"""autocommit_type_change

Revision ID: n015
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n015"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.alter_column("orders", "user_id", type_=sa.BigInteger())


def downgrade() -> None:
    pass
