"""dyn_only_online

Revision ID: k177
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op
from alembic import context

revision = "k177"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if context.is_offline_mode():
        return
    op.execute("UPDATE users SET notes = 'x' WHERE age >= 0")


def downgrade() -> None:
    pass
