"""ddl_object_unsafe

Revision ID: m123
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m123"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    sa.DDL('ALTER TABLE orders ADD CHECK (total < 100000)')(None, op.get_bind())


def downgrade() -> None:
    pass
