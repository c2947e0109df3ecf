"""update_scalar_subquery

Revision ID: m095
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m095"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE users SET notes = 'x' WHERE id = (SELECT max(user_id) FROM orders)")


def downgrade() -> None:
    pass
