"""validate_what_is_valid

Revision ID: m058
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m058"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE items VALIDATE CONSTRAINT fk_items_order; ALTER TABLE orders VALIDATE CONSTRAINT ck_state_nn")


def downgrade() -> None:
    pass
