"""default_of_sequence

Revision ID: m002
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m002"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SEQUENCE tickets; ALTER TABLE items ADD COLUMN ticket bigint DEFAULT nextval('tickets')")


def downgrade() -> None:
    pass
