"""autocommit_by_option

Revision ID: k211
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k211"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind().execution_options(isolation_level='AUTOCOMMIT')
    connection.execute(sa.text("CREATE INDEX CONCURRENTLY ix_opt ON orders (user_id)"))


def downgrade() -> None:
    pass
