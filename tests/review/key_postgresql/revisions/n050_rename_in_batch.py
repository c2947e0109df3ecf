"""rename_in_batch

Revision ID: n050
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n050"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("users") as batch_op:
        batch_op.alter_column("code", new_column_name="short_code", existing_type=sa.CHAR(10))


def downgrade() -> None:
    pass
