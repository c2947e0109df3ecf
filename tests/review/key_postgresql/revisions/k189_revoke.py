"""revoke

Revision ID: k189
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k189"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("REVOKE SELECT ON TABLE users FROM PUBLIC CASCADE")


def downgrade() -> None:
    pass
