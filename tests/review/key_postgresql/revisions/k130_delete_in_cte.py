"""delete_in_cte

Revision ID: k130
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k130"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("WITH gone AS (DELETE FROM items WHERE id % 2 = 0 RETURNING id) SELECT count(*) FROM gone")


def downgrade() -> None:
    pass
