"""update_ctid_limit

Revision ID: m097
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m097"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = 'x' WHERE ctid IN (SELECT ctid FROM users LIMIT 50)")


def downgrade() -> None:
    pass
