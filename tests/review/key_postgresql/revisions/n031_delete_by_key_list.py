"""delete_by_key_list

Revision ID: n031
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n031"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    items = sa.table("items", sa.column("id", sa.BigInteger))
    op.execute(items.delete().where(items.c.id.in_([7, 8, 9])))


def downgrade() -> None:
    pass
