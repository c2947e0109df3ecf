"""add_unique_raw

Revision ID: k007
Revises: base0000
"""

from alembic import op

revision = "k007"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN no INTEGER UNIQUE")


def downgrade() -> None:
    pass
