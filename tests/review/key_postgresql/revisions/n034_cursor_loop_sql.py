"""cursor_loop_sql

Revision ID: n034
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n034"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    DO $$
    DECLARE batch int := 0;
    BEGIN
        LOOP
            UPDATE users SET notes = 'x' WHERE id IN (SELECT id FROM users WHERE notes IS NULL LIMIT 1000);
            EXIT WHEN NOT FOUND;
            batch := batch + 1;
        END LOOP;
    END $$
    """)


def downgrade() -> None:
    pass
