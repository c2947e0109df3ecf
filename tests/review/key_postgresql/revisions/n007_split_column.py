"""split_column

Revision ID: n007
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n007"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("first_name", sa.Text()))
    op.execute("UPDATE users SET first_name = split_part(name, ' ', 1)")


def downgrade() -> None:
    pass
