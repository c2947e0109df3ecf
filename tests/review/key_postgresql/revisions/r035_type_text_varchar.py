"""type_text_varchar

Revision ID: r035
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r035"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('users', 'name', type_=sa.String(500), existing_type=sa.Text())


def downgrade() -> None:
    pass
