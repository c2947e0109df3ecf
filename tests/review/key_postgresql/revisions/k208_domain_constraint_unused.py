"""domain_constraint_unused

Revision ID: k208
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k208"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER DOMAIN posint ADD CONSTRAINT below CHECK (VALUE < 100000)")


def downgrade() -> None:
    pass
