"""delete_old

Revision ID: k049
Revises: base0000
"""

from alembic import op

revision = "k049"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM log_new WHERE msg = 'old'")


def downgrade() -> None:
    pass
