"""update_by_returned_keys

Revision ID: k233
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k233"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    keys = bind.scalars(sa.text("SELECT id FROM users WHERE age < 45")).all()
    for key in keys:
        bind.execute(sa.text("UPDATE users SET notes = 'young' WHERE id = :key"), {'key': key})


def downgrade() -> None:
    pass
