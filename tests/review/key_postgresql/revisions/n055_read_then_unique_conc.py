"""read_then_unique_conc

Revision ID: n055
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n055"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    duplicates = op.get_bind().execute(sa.text("SELECT email FROM users GROUP BY email HAVING count(*) > 1")).all()
    if duplicates:
        raise RuntimeError("clean up first")
    with op.get_context().autocommit_block():
        op.create_index("uq_users_email", "users", ["email"], unique=True, postgresql_concurrently=True)


def downgrade() -> None:
    pass
