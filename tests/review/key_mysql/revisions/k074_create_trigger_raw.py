"""create_trigger_raw

Revision ID: k074
Revises: base0000
"""

from alembic import op

revision = "k074"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TRIGGER tr_users BEFORE INSERT ON users FOR EACH ROW SET NEW.notes = 'x'")


def downgrade() -> None:
    pass
