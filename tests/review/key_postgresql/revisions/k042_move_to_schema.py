"""move_to_schema

Revision ID: k042
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k042"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE lonely SET SCHEMA aux")


def downgrade() -> None:
    pass
