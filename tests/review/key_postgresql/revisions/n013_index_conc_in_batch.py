"""index_conc_in_batch

Revision ID: n013
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n013"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        with op.batch_alter_table("items") as batch_op:
            batch_op.create_index("ix_sku", ["sku"], postgresql_concurrently=True)


def downgrade() -> None:
    pass
