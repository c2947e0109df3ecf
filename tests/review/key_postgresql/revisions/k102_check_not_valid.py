"""check_not_valid

Revision ID: k102
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k102"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD CONSTRAINT ck_age CHECK (age >= 0) NOT VALID")


def downgrade() -> None:
    pass
