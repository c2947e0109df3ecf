"""primary_key_using_index_nullable

Revision ID: k109
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k109"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("CREATE UNIQUE INDEX CONCURRENTLY pk_lonely ON lonely (id)")
    op.execute("ALTER TABLE lonely ADD CONSTRAINT pk_lonely PRIMARY KEY USING INDEX pk_lonely")


def downgrade() -> None:
    pass
