"""index_in_do_conc

Revision ID: m050
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m050"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DO $$ BEGIN EXECUTE 'CREATE INDEX CONCURRENTLY ix_do ON orders (total)'; END $$")


def downgrade() -> None:
    pass
