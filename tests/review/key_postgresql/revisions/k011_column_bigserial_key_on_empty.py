"""column_bigserial_key_on_empty

Revision ID: k011
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k011"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE empty_table ADD COLUMN no bigserial UNIQUE")


def downgrade() -> None:
    pass
