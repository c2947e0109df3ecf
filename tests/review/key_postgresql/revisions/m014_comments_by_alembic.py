"""comments_by_alembic

Revision ID: m014
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m014"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table_comment('orders', 'what people bought; DROP TABLE orders')
    op.alter_column('orders', 'state', comment='open or done', existing_type=sa.String(20))
    op.drop_table_comment('orders')


def downgrade() -> None:
    pass
