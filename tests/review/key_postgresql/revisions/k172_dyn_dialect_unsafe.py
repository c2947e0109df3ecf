"""dyn_dialect_unsafe

Revision ID: k172
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k172"
down_revision = "base0000"
branch_labels = None
depends_on = None

def postgresql():
    op.execute('CREATE INDEX ix_d ON orders USING hash (user_id)')


def other():
    op.create_table('nothing', sa.Column('id', sa.Integer()))


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    {'postgresql': postgresql, 'sqlite': other}.get(dialect, other)()


def downgrade() -> None:
    pass
