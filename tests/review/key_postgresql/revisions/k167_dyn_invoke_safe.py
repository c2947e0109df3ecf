"""dyn_invoke_safe

Revision ID: k167
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op
from alembic.operations.ops import AddColumnOp

revision = "k167"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.invoke(AddColumnOp('orders', sa.Column('note', sa.Text())))


def downgrade() -> None:
    pass
