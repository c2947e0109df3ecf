"""unique_on_empty

Revision ID: m054
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m054"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_unique_constraint('uq_val', 'empty_table', ['val'])


def downgrade() -> None:
    pass
