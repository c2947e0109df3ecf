"""varchar_wider

Revision ID: k022
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k022"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("users", "email", type_=sa.String(200), existing_type=sa.String(100), existing_nullable=False)


def downgrade() -> None:
    pass
