"""one_of_two_checks_valid

Revision ID: m061
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m061"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD CONSTRAINT a CHECK (age > -1) NOT VALID, ADD CONSTRAINT b CHECK (id > 0)")


def downgrade() -> None:
    pass
