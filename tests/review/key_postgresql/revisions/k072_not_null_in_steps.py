"""not_null_in_steps

Revision ID: k072
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k072"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD CONSTRAINT nn CHECK (user_id IS NOT NULL) NOT VALID")
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE orders VALIDATE CONSTRAINT nn")
    op.alter_column('orders', 'user_id', nullable=False)
    op.drop_constraint('nn', 'orders')


def downgrade() -> None:
    pass
