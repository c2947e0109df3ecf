"""not_null_on_empty

Revision ID: k076
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k076"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('empty_table', 'val', nullable=False, existing_type=sa.Text())


def downgrade() -> None:
    pass
