"""mixin_columns

Revision ID: n002
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n002"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (sa.Column("created", sa.DateTime(), server_default=sa.text("now()"), nullable=False), sa.Column("owner_id", sa.Integer(), nullable=True)):
        op.add_column("items", column)
    op.create_index(op.f("ix_items_owner_id"), "items", ["owner_id"], unique=False)


def downgrade() -> None:
    pass
