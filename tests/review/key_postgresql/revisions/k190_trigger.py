"""trigger

Revision ID: k190
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k190"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TRIGGER tg BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION tgf()")


def downgrade() -> None:
    pass
