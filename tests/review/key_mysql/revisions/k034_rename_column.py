"""rename_column

Revision ID: k034
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k034"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("users", "name", new_column_name="full_name", existing_type=sa.Text())


def downgrade() -> None:
    pass
