"""long_read_only

Revision ID: n054
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n054"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    duplicates = op.get_bind().execute(sa.text("SELECT email, count(*) FROM users GROUP BY email HAVING count(*) > 1")).fetchall()
    if duplicates:
        raise RuntimeError(f"{len(duplicates)} addresses are there twice")


def downgrade() -> None:
    pass
