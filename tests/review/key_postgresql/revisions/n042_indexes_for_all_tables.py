"""indexes_for_all_tables

Revision ID: n042
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n042"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    inspector = sa.inspect(op.get_bind())
    for table in ("users", "items"):
        for column in inspector.get_columns(table):
            if column["name"] in ("age", "sku"):
                op.create_index(f"ix_all_{table}", table, [column["name"]])


def downgrade() -> None:
    pass
