"""new_table_raw

Revision ID: r083
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r083"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('''CREATE TABLE IF NOT EXISTS fresh (id int primary key, v text);
    CREATE INDEX ix_fresh ON fresh (v);''')


def downgrade() -> None:
    pass
