"""reindex_raw

Revision ID: k045
Revises: base0000
"""

from alembic import op

revision = "k045"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("REINDEX ix_users_email")


def downgrade() -> None:
    pass
