"""dyn_batch_unsafe

Revision ID: k164
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k164"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('orders') as batch:
        batch.add_column(sa.Column('note', sa.Text()))
        batch.create_index('ix_note', ['note'])


def downgrade() -> None:
    pass
