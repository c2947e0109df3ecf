"""impl_execute

Revision ID: m113
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m113"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_context().impl.execute(sa.text("UPDATE orders SET state = 'done'"))


def downgrade() -> None:
    pass
