"""varchar_past_255_bytes_from_short

Revision ID: k024
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k024"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("users", "code", type_=sa.String(80), existing_type=sa.String(10))


def downgrade() -> None:
    pass
