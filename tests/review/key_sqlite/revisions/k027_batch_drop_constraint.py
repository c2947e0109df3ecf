"""batch_drop_constraint

Revision ID: k027
Revises: base0000
"""

from alembic import op

revision = "k027"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("items") as batch:
        batch.drop_constraint("fk_items_order", type_="foreignkey")


def downgrade() -> None:
    pass
