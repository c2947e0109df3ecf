"""type_enum_to_text

Revision ID: m019
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m019"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('users', 'status', type_=sa.Text(), postgresql_using='status::text')


def downgrade() -> None:
    pass
