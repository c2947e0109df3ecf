"""type_char_to_text

Revision ID: k052
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k052"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('users', 'code', type_=sa.Text(), existing_type=sa.CHAR(10))


def downgrade() -> None:
    pass
