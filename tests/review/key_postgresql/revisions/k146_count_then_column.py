"""count_then_column

Revision ID: k146
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k146"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    total = op.get_bind().execute(sa.text("SELECT count(*) FROM users WHERE notes IS NULL")).scalar()
    op.add_column('users', sa.Column('nick', sa.Text()))


def downgrade() -> None:
    pass
