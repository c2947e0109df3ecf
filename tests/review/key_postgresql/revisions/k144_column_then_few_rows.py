"""column_then_few_rows

Revision ID: k144
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k144"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('admin', sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE users SET admin = true WHERE id = 1")


def downgrade() -> None:
    pass
