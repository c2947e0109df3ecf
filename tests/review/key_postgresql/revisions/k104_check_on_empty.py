"""check_on_empty

Revision ID: k104
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k104"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_check_constraint('ck_val', 'empty_table', "val <> ''")


def downgrade() -> None:
    pass
