"""type_of_empty_table

Revision ID: k071
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k071"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("empty_table", "val", type_=sa.String(50), existing_type=sa.Text())


def downgrade() -> None:
    pass
