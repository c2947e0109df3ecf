"""type_numeric_scale

Revision ID: r038
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r038"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('orders', 'total', type_=sa.Numeric(14,3), existing_type=sa.Numeric(10,2))


def downgrade() -> None:
    pass
