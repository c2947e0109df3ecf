"""varchar_past_255_bytes

Revision ID: k023
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k023"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("items", "sku", type_=sa.String(100), existing_type=sa.String(50))


def downgrade() -> None:
    pass
