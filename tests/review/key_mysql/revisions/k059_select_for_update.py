"""select_for_update

Revision ID: k059
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k059"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().execute(sa.text("SELECT id FROM users FOR UPDATE")).all()


def downgrade() -> None:
    pass
