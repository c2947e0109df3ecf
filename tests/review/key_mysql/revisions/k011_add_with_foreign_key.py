"""add_with_foreign_key

Revision ID: k011
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k011"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("payer_id", sa.Integer(), sa.ForeignKey("users.id", name="fk_orders_payer")))


def downgrade() -> None:
    pass
