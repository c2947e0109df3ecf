"""check_not_enforced

Revision ID: k103
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k103"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD CONSTRAINT ck_age CHECK (age >= 0) NOT ENFORCED")


def downgrade() -> None:
    pass
