"""enum_rename_value

Revision ID: r049
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r049"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TYPE user_status RENAME VALUE 'paid' TO 'settled'")


def downgrade() -> None:
    pass
