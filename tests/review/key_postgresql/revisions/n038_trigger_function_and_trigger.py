"""trigger_function_and_trigger

Revision ID: n038
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n038"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    CREATE OR REPLACE FUNCTION stamp() RETURNS trigger AS $f$
    BEGIN
        NEW.notes := 'changed; UPDATE users SET notes = 1';
        RETURN NEW;
    END $f$ LANGUAGE plpgsql
    """)
    op.execute("DROP TRIGGER IF EXISTS stamp ON users")
    op.execute("CREATE TRIGGER stamp BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION stamp()")


def downgrade() -> None:
    pass
