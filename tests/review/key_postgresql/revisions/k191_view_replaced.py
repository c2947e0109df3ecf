"""view_replaced

Revision ID: k191
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k191"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE MATERIALIZED VIEW mv2 AS SELECT age, count(*) FROM users GROUP BY age")
    op.execute("CREATE UNIQUE INDEX mv2_u ON mv2 (age)")
    op.execute("CREATE OR REPLACE VIEW v_age AS SELECT id, age, now() AS at FROM users")


def downgrade() -> None:
    pass
