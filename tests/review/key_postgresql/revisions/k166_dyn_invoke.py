"""dyn_invoke

Revision ID: k166
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op
from alembic.operations.ops import CreateIndexOp

revision = "k166"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.invoke(CreateIndexOp('ix_i', 'orders', ['total']))


def downgrade() -> None:
    pass
