"""dyn_getattr

Revision ID: k159
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k159"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ('create_index',):
        getattr(op, name)('ix_g', 'orders', ['user_id'])


def downgrade() -> None:
    pass
