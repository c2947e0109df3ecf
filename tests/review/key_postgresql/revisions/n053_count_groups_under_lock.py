"""count_groups_under_lock

Revision ID: n053
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n053"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN grp int")
    for (state,) in op.get_bind().execute(sa.text("SELECT DISTINCT state FROM orders")):
        pass


def downgrade() -> None:
    pass
