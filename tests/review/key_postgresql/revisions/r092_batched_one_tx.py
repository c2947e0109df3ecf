"""batched_one_tx

Revision ID: r092
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r092"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    conn = op.get_bind()
    for lo in range(0, 20000, 1000):
        conn.execute(sa.text('UPDATE users SET notes = :x WHERE id > :lo AND id <= :hi'), dict(x='x', lo=lo, hi=lo + 1000))


def downgrade() -> None:
    pass
