"""drop_column_batch

Revision ID: n047
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n047"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("users") as batch_op:
        batch_op.drop_column("code")


def downgrade() -> None:
    pass
