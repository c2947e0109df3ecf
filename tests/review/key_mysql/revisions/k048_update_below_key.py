"""update_below_key

Revision ID: k048
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k048"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.text("UPDATE users SET notes = :n WHERE id < 50").bindparams(n="x"))


def downgrade() -> None:
    pass
