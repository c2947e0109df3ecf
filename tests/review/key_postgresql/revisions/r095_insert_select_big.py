"""insert_select_big

Revision ID: r095
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r095"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('INSERT INTO empty_table (id, val) SELECT id, state FROM orders')


def downgrade() -> None:
    pass
