"""try_except

Revision ID: k218
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k218"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    try:
        op.drop_constraint('ck_absent', 'orders', type_='check')
    except Exception:
        pass
    op.add_column('orders', sa.Column('note', sa.Text()))


def downgrade() -> None:
    pass
