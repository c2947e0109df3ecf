"""cluster_on_only

Revision ID: k198
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k198"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users CLUSTER ON ix_users_email")


def downgrade() -> None:
    pass
