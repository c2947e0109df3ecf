"""cluster

Revision ID: k197
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k197"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CLUSTER users USING ix_users_email")


def downgrade() -> None:
    pass
