"""index_gin_conc

Revision ID: m043
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m043"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("""
            CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_words
            ON users USING gin (to_tsvector('english', coalesce(notes, '')))
        """)
        op.execute("COMMENT ON INDEX ix_words IS 'search'")


def downgrade() -> None:
    pass
