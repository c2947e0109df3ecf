"""percent_and_colons

Revision ID: m125
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m125"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = '100%, 12:30, a::b' WHERE id = 1")
    op.get_bind().exec_driver_sql("COMMENT ON TABLE users IS ':done'")


def downgrade() -> None:
    pass
