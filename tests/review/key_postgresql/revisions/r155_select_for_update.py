"""select_for_update

Revision ID: r155
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r155"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('SELECT count(*) FROM (SELECT id FROM users FOR UPDATE) s')


def downgrade() -> None:
    pass
