"""default_func_uuid

Revision ID: m001
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m001"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('items', sa.Column('ref', sa.Uuid(), server_default=sa.func.gen_random_uuid(), nullable=False))


def downgrade() -> None:
    pass
