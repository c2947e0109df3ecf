"""pages_in_one_transaction

Revision ID: m106
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m106"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    last = 0
    while True:
        rows = bind.execute(sa.text("SELECT id FROM users WHERE id > :last ORDER BY id LIMIT 500"), {'last': last}).all()
        if not rows:
            break
        for (number,) in rows:
            bind.execute(sa.text("UPDATE users SET notes = 'x' WHERE id = :id"), {'id': number})
        last = rows[-1][0]


def downgrade() -> None:
    pass
