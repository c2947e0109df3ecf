"""for_share_all

Revision ID: k155
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k155"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    rows = op.get_bind().execute(sa.text("SELECT id FROM orders FOR SHARE")).all()


def downgrade() -> None:
    pass
