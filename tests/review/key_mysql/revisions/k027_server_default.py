"""server_default

Revision ID: k027
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k027"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("users", "age", server_default="18", existing_type=sa.Integer())


def downgrade() -> None:
    pass
