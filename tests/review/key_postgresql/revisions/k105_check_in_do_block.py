"""check_in_do_block

Revision ID: k105
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k105"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    DO $do$
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'ck_age') THEN
            ALTER TABLE users ADD CONSTRAINT ck_age CHECK (age >= 0);
        END IF;
    END
    $do$
    """)


def downgrade() -> None:
    pass
