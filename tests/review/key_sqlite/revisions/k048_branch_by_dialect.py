"""branch_by_dialect

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
    if op.get_bind().dialect.name == "sqlite":
        op.add_column("users", sa.Column("nick", sa.Text()))
    else:
        op.execute("UPDATE users SET notes = 'x'")


def downgrade() -> None:
    pass
