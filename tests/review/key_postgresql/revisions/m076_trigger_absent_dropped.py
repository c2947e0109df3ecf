"""trigger_absent_dropped

Revision ID: m076
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "m076"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP TRIGGER IF EXISTS never ON users; CREATE TRIGGER tg AFTER INSERT ON users FOR EACH ROW EXECUTE PROCEDURE tgf()")


def downgrade() -> None:
    pass
