"""create_partial_index_raw

Revision ID: k013
Revises: base0000
"""

from alembic import op

revision = "k013"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_new ON users (lower(email)) WHERE age > 5")


def downgrade() -> None:
    pass
