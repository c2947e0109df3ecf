"""drop_check

Revision ID: k073
Revises: base0000
"""

from alembic import op

revision = "k073"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint("ck_total", "orders", type_="check")


def downgrade() -> None:
    pass
