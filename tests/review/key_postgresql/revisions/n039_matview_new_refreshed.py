"""matview_new_refreshed

Revision ID: n039
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n039"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE MATERIALIZED VIEW totals AS SELECT user_id, sum(total) AS s FROM orders GROUP BY 1 WITH NO DATA")
    op.execute("REFRESH MATERIALIZED VIEW totals")
    op.execute("CREATE UNIQUE INDEX ON totals (user_id)")


def downgrade() -> None:
    pass
