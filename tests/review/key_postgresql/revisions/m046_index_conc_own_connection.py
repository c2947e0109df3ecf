"""index_conc_own_connection

Revision ID: m046
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m046"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    engine = op.get_bind().engine
    with engine.connect().execution_options(isolation_level='AUTOCOMMIT') as other:
        other.execute(sa.text("CREATE INDEX CONCURRENTLY ix_other ON orders (user_id)"))


def downgrade() -> None:
    pass
