"""select_only

Revision ID: k215
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k215"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    if bind.scalar(sa.text("SELECT count(*) FROM users")):
        bind.execute(sa.text("NOTIFY migrated, 'CREATE INDEX'"))
    bind.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {'key': 42})


def downgrade() -> None:
    pass
