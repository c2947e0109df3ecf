"""pragma_and_add

Revision ID: k046
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k046"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("PRAGMA foreign_keys=OFF")
    op.add_column("users", sa.Column("nick", sa.Text()))
    op.execute("PRAGMA foreign_keys=ON")


def downgrade() -> None:
    pass
