"""identity_settings

Revision ID: m015
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m015"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER SEQUENCE orders_id_seq AS bigint MAXVALUE 9000000000 OWNED BY orders.id")


def downgrade() -> None:
    pass
