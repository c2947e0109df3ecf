"""batch_on_empty

Revision ID: k028
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k028"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("empty_table") as batch:
        batch.alter_column("val", type_=sa.String(50), existing_type=sa.Text())


def downgrade() -> None:
    pass
