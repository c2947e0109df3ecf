"""policy_only

Revision ID: k185
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k185"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE POLICY own ON users USING (true)")


def downgrade() -> None:
    pass
