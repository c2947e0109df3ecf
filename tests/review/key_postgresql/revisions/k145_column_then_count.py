"""column_then_count

Revision ID: k145
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k145"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('users', sa.Column('nick', sa.Text()))
    total = op.get_bind().execute(sa.text("SELECT count(*) FROM users WHERE notes IS NULL")).scalar()


def downgrade() -> None:
    pass
