"""core_delete_one

Revision ID: m100
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m100"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    items = sa.table('items', sa.column('id'))
    op.get_bind().execute(sa.delete(items).where(items.c.id == 5))


def downgrade() -> None:
    pass
