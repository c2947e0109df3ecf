"""do_guarded_column

Revision ID: n036
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n036"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    DO $$ BEGIN
        IF NOT EXISTS (SELECT 1 FROM information_schema.columns WHERE table_name = 'users' AND column_name = 'nick') THEN
            ALTER TABLE users ADD COLUMN nick text;
        END IF;
    END $$
    """)


def downgrade() -> None:
    pass
