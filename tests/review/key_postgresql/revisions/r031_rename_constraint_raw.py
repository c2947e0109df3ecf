"""rename_constraint_raw

Revision ID: r031
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "r031"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('ALTER TABLE items RENAME CONSTRAINT fk_items_order TO fk_i_o')


def downgrade() -> None:
    pass
