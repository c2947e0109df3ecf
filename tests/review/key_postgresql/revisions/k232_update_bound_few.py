"""update_bound_few

Revision ID: k232
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k232"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.text("UPDATE users SET notes = :note WHERE id = :id").bindparams(note="100%: it's", id=7))


def downgrade() -> None:
    pass
