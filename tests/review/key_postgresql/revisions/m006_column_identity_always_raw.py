"""column_identity_always_raw

Revision ID: m006
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m006"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE booking ADD COLUMN no int GENERATED ALWAYS AS IDENTITY PRIMARY KEY")


def downgrade() -> None:
    pass
