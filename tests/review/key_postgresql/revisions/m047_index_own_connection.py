"""index_own_connection

Revision ID: m047
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m047"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_bind().engine.begin() as other:
        other.execute(sa.text("CREATE INDEX ix_other ON orders (user_id)"))


def downgrade() -> None:
    pass
