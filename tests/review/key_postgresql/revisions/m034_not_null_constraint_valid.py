"""not_null_constraint_valid

Revision ID: m034
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m034"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD CONSTRAINT user_nn NOT NULL user_id")


def downgrade() -> None:
    pass
