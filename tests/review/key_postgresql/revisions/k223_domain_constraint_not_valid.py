"""domain_constraint_not_valid

Revision ID: k223
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k223"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE DOMAIN grade AS int")
    op.execute("ALTER TABLE users ADD COLUMN grade grade")
    op.execute("ALTER DOMAIN grade ADD CONSTRAINT positive CHECK (VALUE > 0) NOT VALID")


def downgrade() -> None:
    pass
