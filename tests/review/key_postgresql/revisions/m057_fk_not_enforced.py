"""fk_not_enforced

Revision ID: m057
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m057"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE items ALTER CONSTRAINT fk_items_order NOT ENFORCED")


def downgrade() -> None:
    pass
