"""grants_loop

Revision ID: n040
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n040"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in sa.inspect(op.get_bind()).get_table_names():
        op.execute(f'GRANT SELECT ON "{table}" TO PUBLIC')


def downgrade() -> None:
    pass
