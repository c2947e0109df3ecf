"""update_from_cte

Revision ID: k129
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k129"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("WITH sums AS (SELECT user_id, sum(total) AS s FROM orders GROUP BY 1) UPDATE users SET notes = s::text FROM sums WHERE sums.user_id = users.id")


def downgrade() -> None:
    pass
