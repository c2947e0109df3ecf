"""unicode_escape_names

Revision ID: m126
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m126"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""ALTER TABLE U&"\\0075sers" ADD COLUMN "Weird ""name" int""")


def downgrade() -> None:
    pass
