"""rename_constraint_and_index

Revision ID: n005
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n005"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER INDEX users_pkey RENAME TO pk_users")
    op.execute("ALTER TABLE orders RENAME CONSTRAINT ck_late TO ck_orders_total")


def downgrade() -> None:
    pass
