"""column_plain_domain

Revision ID: k020
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k020"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE DOMAIN short_name AS varchar(40) DEFAULT 'x'")
    op.execute("ALTER TABLE users ADD COLUMN alias short_name")


def downgrade() -> None:
    pass
