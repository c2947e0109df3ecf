"""do_update

Revision ID: k147
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k147"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    DO $$
    DECLARE n int;
    BEGIN
        FOR n IN SELECT id FROM users LOOP
            UPDATE users SET notes = 'x' WHERE id = n;
        END LOOP;
    END $$;
    """)


def downgrade() -> None:
    pass
