"""text_empty_statements

Revision ID: k180
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k180"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(";;ALTER TABLE orders ADD COLUMN a int;; ALTER TABLE orders ADD COLUMN b int;;")


def downgrade() -> None:
    pass
