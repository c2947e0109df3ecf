"""rename_sequence

Revision ID: n006
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n006"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER SEQUENCE orders_id_seq RENAME TO orders_seq; ALTER TABLE orders ALTER id SET DEFAULT nextval('orders_seq')")


def downgrade() -> None:
    pass
