"""rename_view_of_this_revision

Revision ID: m073
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m073"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE VIEW first AS SELECT 1 AS a; ALTER VIEW first RENAME TO second; ALTER VIEW second RENAME COLUMN a TO b")


def downgrade() -> None:
    pass
