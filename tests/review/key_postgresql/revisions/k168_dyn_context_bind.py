"""dyn_context_bind

Revision ID: k168
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op
from alembic import context

revision = "k168"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = context.get_bind()
    bind.execute(sa.text("UPDATE orders SET state = lower(state)"))


def downgrade() -> None:
    pass
