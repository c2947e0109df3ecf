"""check_validate_only

Revision ID: r079
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r079"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('ALTER TABLE orders VALIDATE CONSTRAINT ck_late')


def downgrade() -> None:
    pass
