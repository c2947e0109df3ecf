"""search_path_new_table

Revision ID: k121
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k121"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL search_path TO aux, public")
    op.execute("CREATE TABLE orders (id int, user_id int)")
    op.execute("CREATE INDEX ON orders (user_id)")
    op.execute("SET LOCAL search_path TO public")


def downgrade() -> None:
    pass
