"""create_table_as_raw

Revision ID: k039
Revises: base0000
"""

from alembic import op

revision = "k039"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE saved AS SELECT * FROM orders")


def downgrade() -> None:
    pass
