"""not_null_constraint_validated

Revision ID: m033
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m033"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD CONSTRAINT user_nn NOT NULL user_id NOT VALID")
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE orders VALIDATE CONSTRAINT user_nn")


def downgrade() -> None:
    pass
