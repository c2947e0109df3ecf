"""update_from_values

Revision ID: m090
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m090"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = v.n FROM (VALUES (1, 'a'), (2, 'b')) AS v (id, n) WHERE users.id = v.id")


def downgrade() -> None:
    pass
