"""not_null_check_of_another_column

Revision ID: m036
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m036"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD CONSTRAINT nn CHECK (total IS NOT NULL) NOT VALID")
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE orders VALIDATE CONSTRAINT nn")
    op.alter_column('orders', 'user_id', nullable=False)


def downgrade() -> None:
    pass
