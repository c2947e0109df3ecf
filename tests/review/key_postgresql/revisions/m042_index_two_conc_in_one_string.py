"""index_two_conc_in_one_string

Revision ID: m042
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m042"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY ix_a ON orders (user_id); CREATE INDEX CONCURRENTLY ix_b ON orders (total)")


def downgrade() -> None:
    pass
