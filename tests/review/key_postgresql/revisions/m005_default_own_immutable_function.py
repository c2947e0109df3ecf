"""default_own_immutable_function

Revision ID: m005
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m005"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE FUNCTION token() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'fixed' $$")
    op.execute("ALTER TABLE items ADD COLUMN token text DEFAULT token()")


def downgrade() -> None:
    pass
