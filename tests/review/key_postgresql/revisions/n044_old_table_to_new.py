"""old_table_to_new

Revision ID: n044
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n044"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE lonely2 (LIKE lonely)")
    op.execute("INSERT INTO lonely2 SELECT * FROM lonely")
    op.execute("DROP MATERIALIZED VIEW mv")
    op.execute("DROP TABLE lonely")
    op.execute("ALTER TABLE lonely2 RENAME TO lonely")


def downgrade() -> None:
    pass
