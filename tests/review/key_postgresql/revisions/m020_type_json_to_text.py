"""type_json_to_text

Revision ID: m020
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m020"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column('users', 'payload', type_=sa.Text(), existing_type=sa.JSON())


def downgrade() -> None:
    pass
