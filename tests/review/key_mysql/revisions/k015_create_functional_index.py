"""create_functional_index

Revision ID: k015
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k015"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_users_lower", "users", [sa.text("(lower(email))")])


def downgrade() -> None:
    pass
