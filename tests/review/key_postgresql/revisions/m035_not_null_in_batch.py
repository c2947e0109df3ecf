"""not_null_in_batch

Revision ID: m035
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m035"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('items') as batch:
        batch.alter_column('order_id', existing_type=sa.Integer(), nullable=False)


def downgrade() -> None:
    pass
