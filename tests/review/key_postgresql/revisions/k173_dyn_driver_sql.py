"""dyn_driver_sql

Revision ID: k173
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k173"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql("CREATE INDEX ix_driver ON orders (user_id)")


def downgrade() -> None:
    pass
