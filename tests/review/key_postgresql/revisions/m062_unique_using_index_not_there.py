"""unique_using_index_not_there

Revision ID: m062
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m062"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD CONSTRAINT uq_e UNIQUE USING INDEX ix_users_email")


def downgrade() -> None:
    pass
