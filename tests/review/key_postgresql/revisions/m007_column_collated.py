"""column_collated

Revision ID: m007
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m007"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""ALTER TABLE users ADD COLUMN sort_name text COLLATE "C" DEFAULT ''""")


def downgrade() -> None:
    pass
