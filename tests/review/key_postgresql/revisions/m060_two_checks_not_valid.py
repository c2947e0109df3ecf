"""two_checks_not_valid

Revision ID: m060
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m060"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD CONSTRAINT a CHECK (age > -1) NOT VALID, ADD CONSTRAINT b CHECK (id > 0) NOT VALID")


def downgrade() -> None:
    pass
