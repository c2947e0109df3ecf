"""dyn_batch_safe

Revision ID: k165
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k165"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('orders', schema=None) as batch:
        batch.add_column(sa.Column('note', sa.Text()))
        batch.alter_column('note', server_default='-')
        batch.drop_constraint('ck_late', type_='check')


def downgrade() -> None:
    pass
