"""checks_version_by_query

Revision ID: n043
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n043"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    version = op.get_bind().execute(sa.text("SHOW server_version_num")).scalar()
    if int(version) >= 110000:
        op.execute("ALTER TABLE users ADD COLUMN ok boolean NOT NULL DEFAULT true")
    else:
        op.execute("ALTER TABLE users ADD COLUMN ok boolean")
        op.execute("UPDATE users SET ok = true")


def downgrade() -> None:
    pass
