"""update_where_few

Revision ID: r087
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r087"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = 'x' WHERE id < 50")


def downgrade() -> None:
    pass
