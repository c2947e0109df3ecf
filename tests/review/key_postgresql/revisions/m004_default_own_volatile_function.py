"""default_own_volatile_function

Revision ID: m004
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m004"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE FUNCTION token() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'fixed'; END $$")
    op.execute("ALTER TABLE items ADD COLUMN token text DEFAULT token()")


def downgrade() -> None:
    pass
