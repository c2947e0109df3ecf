"""type_numeric_same

Revision ID: m024
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m024"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('orders', 'total', type_=sa.Numeric(10, 2), existing_type=sa.Numeric(10, 2))


def downgrade() -> None:
    pass
