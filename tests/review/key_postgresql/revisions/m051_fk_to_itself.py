"""fk_to_itself

Revision ID: m051
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m051"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('orders', sa.Column('parent_id', sa.Integer()))
    op.create_foreign_key('fk_parent', 'orders', 'orders', ['parent_id'], ['id'])


def downgrade() -> None:
    pass
