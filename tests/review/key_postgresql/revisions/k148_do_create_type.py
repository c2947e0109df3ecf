"""do_create_type

Revision ID: k148
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k148"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    DO $$ BEGIN
        CREATE TYPE mood AS ENUM ('sad', 'glad');
    EXCEPTION WHEN duplicate_object THEN null;
    END $$;
    """)


def downgrade() -> None:
    pass
