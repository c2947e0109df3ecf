"""asks_copy_raw

Revision ID: k064
Revises: base0000
"""

from alembic import op

revision = "k064"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN nick TEXT, ALGORITHM=COPY, LOCK=SHARED")


def downgrade() -> None:
    pass
