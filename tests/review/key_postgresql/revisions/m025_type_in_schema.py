"""type_in_schema

Revision ID: m025
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m025"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('a', 'id', type_=sa.BigInteger(), schema='aux')


def downgrade() -> None:
    pass
