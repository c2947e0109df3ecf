"""validate_then_column

Revision ID: k229
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k229"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE orders VALIDATE CONSTRAINT ck_late")
    op.add_column('users', sa.Column('nick', sa.Text()))


def downgrade() -> None:
    pass
