"""read_keys_update_two

Revision ID: k234
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k234"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    found = bind.execute(sa.text("SELECT id, name FROM users WHERE id IN (1, 2)")).fetchall()
    for row in found:
        bind.execute(sa.text("UPDATE users SET notes = :name WHERE id = :id"), {'id': row.id, 'name': row.name})


def downgrade() -> None:
    pass
