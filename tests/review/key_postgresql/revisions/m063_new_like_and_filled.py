"""new_like_and_filled

Revision ID: m063
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m063"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE users_new (LIKE users INCLUDING ALL); INSERT INTO users_new SELECT * FROM users")


def downgrade() -> None:
    pass
