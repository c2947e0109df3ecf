"""update_with_equal_bind

Revision ID: n026
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n026"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    t = sa.table("orders", sa.column("id", sa.Integer), sa.column("state", sa.String))
    for key, state in {1: "a", 2: "b", 3: "c"}.items():
        op.execute(t.update().where(t.c.id == key).values(state=state))


def downgrade() -> None:
    pass
