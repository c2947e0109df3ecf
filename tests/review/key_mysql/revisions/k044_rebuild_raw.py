"""rebuild_raw

Revision ID: k044
Revises: base0000
"""

from alembic import op

revision = "k044"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ENGINE=InnoDB")


def downgrade() -> None:
    pass
