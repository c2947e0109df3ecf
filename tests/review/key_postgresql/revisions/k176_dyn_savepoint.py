"""dyn_savepoint

Revision ID: k176
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k176"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_bind().begin_nested():
        op.alter_column('lonely', 'v', type_=sa.String(40))


def downgrade() -> None:
    pass
