"""commit_between

Revision ID: k210
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k210"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD CONSTRAINT ck_age CHECK (age >= 0) NOT VALID")
    op.execute("COMMIT")
    op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck_age")


def downgrade() -> None:
    pass
