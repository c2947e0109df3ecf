"""text_two_statements

Revision ID: k179
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k179"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE orders ADD COLUMN note text;
        CREATE INDEX ix_note ON orders (note); -- small at first
    """)


def downgrade() -> None:
    pass
