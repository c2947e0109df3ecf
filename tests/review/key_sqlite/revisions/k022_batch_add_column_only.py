"""batch_add_column_only

Revision ID: k022
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k022"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("users") as batch:
        batch.add_column(sa.Column("nick", sa.Text()))


def downgrade() -> None:
    pass
