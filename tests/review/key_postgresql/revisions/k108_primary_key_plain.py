"""primary_key_plain

Revision ID: k108
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k108"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_primary_key('pk_lonely', 'lonely', ['id'])


def downgrade() -> None:
    pass
