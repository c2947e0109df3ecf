"""index_drop_conc_in_transaction

Revision ID: m038
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m038"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP INDEX CONCURRENTLY ix_users_email")


def downgrade() -> None:
    pass
