"""set_not_null_notvalid_check

Revision ID: r052
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r052"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('ALTER TABLE orders ADD CONSTRAINT nn CHECK (user_id IS NOT NULL) NOT VALID')
    op.alter_column('orders', 'user_id', nullable=False)


def downgrade() -> None:
    pass
