"""set_tablespace

Revision ID: r115
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r115"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('ALTER TABLE orders SET TABLESPACE ts1')


def downgrade() -> None:
    pass
