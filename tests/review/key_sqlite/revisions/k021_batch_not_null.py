"""batch_not_null

Revision ID: k021
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k021"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("orders") as batch:
        batch.alter_column("state", nullable=False, existing_type=sa.String(20))


def downgrade() -> None:
    pass
