"""drop_foreign_key

Revision ID: k072
Revises: base0000
"""

from alembic import op

revision = "k072"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("fk_items_order", "items", type_="foreignkey")


def downgrade() -> None:
    pass
