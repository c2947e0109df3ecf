"""drop_column_raw

Revision ID: k016
Revises: base0000
"""

from alembic import op

revision = "k016"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users DROP COLUMN notes")


def downgrade() -> None:
    pass
