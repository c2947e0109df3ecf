"""revoke_function

Revision ID: m078
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m078"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("REVOKE ALL ON orders FROM PUBLIC; GRANT SELECT ON orders TO PUBLIC")


def downgrade() -> None:
    pass
