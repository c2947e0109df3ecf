"""index_plain_quoted

Revision ID: k078
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k078"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('create unique index "UX_Code" on public."orders" using btree ("user_id" desc) include (total) where (total > 0)')


def downgrade() -> None:
    pass
