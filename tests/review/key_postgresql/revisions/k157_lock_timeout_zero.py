"""lock_timeout_zero

Revision ID: k157
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k157"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = 0")
    op.add_column('users', sa.Column('nick', sa.Text()))


def downgrade() -> None:
    pass
