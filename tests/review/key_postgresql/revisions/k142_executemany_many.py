"""executemany_many

Revision ID: k142
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k142"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().execute(sa.text("UPDATE users SET notes = :note WHERE id = :id"), [{'id': n, 'note': str(n)} for n in range(1, 3001)])


def downgrade() -> None:
    pass
