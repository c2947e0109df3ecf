"""columns_for_all_tables

Revision ID: n041
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n041"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in sa.inspect(op.get_bind()).get_table_names():
        if table in ("users", "orders"):
            op.add_column(table, sa.Column("tenant", sa.Integer()))


def downgrade() -> None:
    pass
