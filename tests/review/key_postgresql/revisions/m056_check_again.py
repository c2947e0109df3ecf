"""check_again

Revision ID: m056
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m056"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_constraint('lonely_marker', 'orders', type_='check')
    op.create_check_constraint('lonely_marker', 'orders', 'id > 0')


def downgrade() -> None:
    pass
