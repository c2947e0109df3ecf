"""pandas_like_chunks

Revision ID: n060
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n060"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    ids = [row.id for row in bind.execute(sa.text("SELECT id FROM users ORDER BY id"))]
    for start in range(0, len(ids), 1000):
        chunk = ids[start:start + 1000]
        bind.execute(sa.text("UPDATE users SET notes = 'x' WHERE id = ANY(:ids)"), {"ids": chunk})


def downgrade() -> None:
    pass
