"""add_uuid_default

Revision ID: k005
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k005"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("token", sa.CHAR(36), server_default=sa.text("(uuid())")))


def downgrade() -> None:
    pass
