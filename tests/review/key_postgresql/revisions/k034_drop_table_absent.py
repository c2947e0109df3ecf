"""drop_table_absent

Revision ID: k034
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k034"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP TABLE IF EXISTS users_2019, orders_2019 CASCADE")


def downgrade() -> None:
    pass
