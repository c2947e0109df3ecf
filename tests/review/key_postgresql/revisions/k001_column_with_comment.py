"""column_with_comment

Revision ID: k001
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k001"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('orders', sa.Column('source', sa.String(30), comment='web, shop or CREATE INDEX'))


def downgrade() -> None:
    pass
