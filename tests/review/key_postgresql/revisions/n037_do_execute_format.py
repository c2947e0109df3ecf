"""do_execute_format

Revision ID: n037
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n037"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
    DO $$ BEGIN
        EXECUTE format('CREATE INDEX %I ON %I (total)', 'ix_f', 'orders');
    END $$
    """)


def downgrade() -> None:
    pass
