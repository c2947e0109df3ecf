"""dyn_partial

Revision ID: k178
Revises: base0000
"""
import functools

import sqlalchemy as sa
from alembic import op

revision = "k178"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run = functools.partial(op.execute)
    list(map(run, ["ALTER TABLE orders ADD COLUMN a int", "ALTER TABLE orders ADD COLUMN b int"]))


def downgrade() -> None:
    pass
