"""dyn_alias

Revision ID: r104
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r104"
down_revision = "base0000"
branch_labels = None
depends_on = None

from alembic import op as mig


def upgrade() -> None:
    mig.create_index('ix_al', 'orders', ['user_id'])


def downgrade() -> None:
    pass
