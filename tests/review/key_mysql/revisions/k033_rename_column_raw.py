"""rename_column_raw

Revision ID: k033
Revises: base0000
"""

from alembic import op

revision = "k033"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users RENAME COLUMN name TO full_name")


def downgrade() -> None:
    pass
