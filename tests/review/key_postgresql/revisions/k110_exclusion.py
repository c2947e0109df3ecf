"""exclusion

Revision ID: k110
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k110"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_exclude_constraint('no_overlap', 'booking', (sa.column('span'), '&&'), using='gist')


def downgrade() -> None:
    pass
