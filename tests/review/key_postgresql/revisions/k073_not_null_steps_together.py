"""not_null_steps_together

Revision ID: k073
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k073"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_check_constraint('nn', 'orders', 'user_id IS NOT NULL', postgresql_not_valid=True)
    op.execute("ALTER TABLE orders VALIDATE CONSTRAINT nn")
    op.alter_column('orders', 'user_id', nullable=False)


def downgrade() -> None:
    pass
