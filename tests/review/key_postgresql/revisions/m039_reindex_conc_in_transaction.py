"""reindex_conc_in_transaction

Revision ID: m039
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m039"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("REINDEX TABLE CONCURRENTLY users")


def downgrade() -> None:
    pass
