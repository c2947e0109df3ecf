"""type_varchar_to_text

Revision ID: k045
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k045"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('items', 'sku', type_=sa.Text(), existing_type=sa.String(50))


def downgrade() -> None:
    pass
