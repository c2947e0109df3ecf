"""type_wider_and_default

Revision ID: m029
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m029"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE items ALTER COLUMN sku TYPE varchar(200), ALTER COLUMN sku SET DEFAULT '-'")


def downgrade() -> None:
    pass
