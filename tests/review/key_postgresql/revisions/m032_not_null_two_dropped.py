"""not_null_two_dropped

Revision ID: m032
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m032"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD CONSTRAINT filled CHECK (user_id IS NOT NULL AND total IS NOT NULL) NOT VALID")
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE orders VALIDATE CONSTRAINT filled")
    op.execute("ALTER TABLE orders ALTER user_id SET NOT NULL, ALTER total SET NOT NULL, DROP CONSTRAINT filled")


def downgrade() -> None:
    pass
