"""view_dropped_and_made_around_type

Revision ID: n016
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n016"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP VIEW v_age")
    op.alter_column("users", "age", type_=sa.BigInteger())
    op.execute("CREATE VIEW v_age AS SELECT id, age FROM users")


def downgrade() -> None:
    pass
