"""unique_using_index

Revision ID: k107
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k107"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("CREATE UNIQUE INDEX CONCURRENTLY uq_email ON users (email)")
    op.execute("ALTER TABLE users ADD CONSTRAINT uq_email UNIQUE USING INDEX uq_email")


def downgrade() -> None:
    pass
