"""column_default_in_two_steps

Revision ID: k005
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k005"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('orders', sa.Column('public_id', sa.Uuid()))
    op.alter_column('orders', 'public_id', server_default=sa.text('gen_random_uuid()'))


def downgrade() -> None:
    pass
