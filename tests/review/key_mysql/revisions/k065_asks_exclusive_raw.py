"""asks_exclusive_raw

Revision ID: k065
Revises: base0000
"""

from alembic import op

revision = "k065"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_state ON orders (state) LOCK=EXCLUSIVE")


def downgrade() -> None:
    pass
