"""drop_primary_key_raw

Revision ID: k066
Revises: base0000
"""

from alembic import op

revision = "k066"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE legacy DROP PRIMARY KEY")


def downgrade() -> None:
    pass
