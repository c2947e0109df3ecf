"""create_unique_index_raw

Revision ID: k013
Revises: base0000
"""

from alembic import op

revision = "k013"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE UNIQUE INDEX ux_users_email ON users (email)")


def downgrade() -> None:
    pass
