"""truncate_raw

Revision ID: k038
Revises: base0000
"""

from alembic import op

revision = "k038"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("TRUNCATE TABLE items")


def downgrade() -> None:
    pass
