"""type_unlogged_new

Revision ID: m031
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m031"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE UNLOGGED TABLE buffer (id int, v varchar(5))")
    op.alter_column('buffer', 'v', type_=sa.Integer(), postgresql_using='v::int')


def downgrade() -> None:
    pass
