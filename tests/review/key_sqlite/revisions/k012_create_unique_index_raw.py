"""create_unique_index_raw

Revision ID: k012
Revises: base0000
"""

from alembic import op

revision = "k012"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE UNIQUE INDEX ux_users_name ON users (name)")


def downgrade() -> None:
    pass
