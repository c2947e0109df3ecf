"""create_trigger_raw

Revision ID: k042
Revises: base0000
"""

from alembic import op

revision = "k042"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TRIGGER tr_users AFTER INSERT ON users BEGIN UPDATE users SET notes = 'x' WHERE id = NEW.id; END")


def downgrade() -> None:
    pass
