"""ddl_object

Revision ID: m122
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m122"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.DDL('ALTER TABLE %(table)s ADD COLUMN %(column)s int', context={'table': 'orders', 'column': 'ddl'}))


def downgrade() -> None:
    pass
