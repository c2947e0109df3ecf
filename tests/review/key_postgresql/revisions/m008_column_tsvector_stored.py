"""column_tsvector_stored

Revision ID: m008
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m008"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN search tsvector GENERATED ALWAYS AS (to_tsvector('simple', coalesce(name, ''))) STORED")


def downgrade() -> None:
    pass
