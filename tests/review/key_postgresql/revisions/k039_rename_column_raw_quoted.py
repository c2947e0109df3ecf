"""rename_column_raw_quoted

Revision ID: k039
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k039"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('ALTER TABLE "public"."users" RENAME "name" TO "full_name"')


def downgrade() -> None:
    pass
