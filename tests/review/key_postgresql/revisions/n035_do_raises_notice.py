"""do_raises_notice

Revision ID: n035
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n035"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DO $$ BEGIN RAISE NOTICE 'UPDATE users'; PERFORM set_config('x.y', 'CREATE INDEX', true); END $$")


def downgrade() -> None:
    pass
