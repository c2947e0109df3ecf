"""batch_add_column_always

Revision ID: k023
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k023"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("users", recreate="always") as batch:
        batch.add_column(sa.Column("nick", sa.Text()))


def downgrade() -> None:
    pass
