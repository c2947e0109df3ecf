"""column_one_of_three_volatile

Revision ID: k024
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k024"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN a int, ADD COLUMN b float DEFAULT random(), ADD COLUMN c int DEFAULT 3")


def downgrade() -> None:
    pass
