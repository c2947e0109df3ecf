"""type_varchar_wider_under_check

Revision ID: k047
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k047"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('orders', 'state', type_=sa.String(60), existing_type=sa.String(20))


def downgrade() -> None:
    pass
