"""drop_index

Revision ID: k016
Revises: base0000
"""

from alembic import op

revision = "k016"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_users_email", table_name="users")


def downgrade() -> None:
    pass
