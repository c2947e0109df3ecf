"""superset_style_json

Revision ID: n001
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n001"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("extra", sa.Text(), nullable=True))
    with op.batch_alter_table("orders") as batch_op:
        batch_op.alter_column("state", existing_type=sa.String(length=20), nullable=True)
        batch_op.drop_constraint("lonely_marker", type_="check")


def downgrade() -> None:
    pass
