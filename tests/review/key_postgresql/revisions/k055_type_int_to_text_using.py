"""type_int_to_text_using

Revision ID: k055
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k055"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE lonely ALTER COLUMN id TYPE text USING 'n' || id::text")


def downgrade() -> None:
    pass
