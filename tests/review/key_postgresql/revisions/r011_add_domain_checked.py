"""add_domain_checked

Revision ID: r011
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r011"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('ALTER TABLE users ADD COLUMN pos posint')


def downgrade() -> None:
    pass
