"""batches_by_rowcount

Revision ID: m107
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m107"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        bind = op.get_bind()
        while True:
            done = bind.execute(sa.text(
                "UPDATE users SET notes = '' WHERE id IN (SELECT id FROM users WHERE notes IS NULL LIMIT 500)"
            ))
            if done.rowcount == 0:
                break


def downgrade() -> None:
    pass
