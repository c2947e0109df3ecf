"""chunks_committed

Revision ID: n061
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n061"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    highest = bind.execute(sa.text("SELECT max(id) FROM users")).scalar() or 0
    with op.get_context().autocommit_block():
        for start in range(0, highest, 500):
            op.get_bind().execute(
                sa.text("UPDATE users SET notes = 'x' WHERE id > :low AND id <= :high"), {"low": start, "high": start + 500}
            )


def downgrade() -> None:
    pass
