"""batches_by_rowcount_one_transaction

Revision ID: m108
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m108"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    while bind.execute(sa.text(
        "UPDATE users SET notes = '' WHERE id IN (SELECT id FROM users WHERE notes IS NULL LIMIT 500)"
    )).rowcount:
        pass


def downgrade() -> None:
    pass
