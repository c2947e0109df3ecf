"""update_case

Revision ID: n027
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n027"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE orders SET state = CASE WHEN total > 500 THEN 'big' ELSE 'small' END")


def downgrade() -> None:
    pass
