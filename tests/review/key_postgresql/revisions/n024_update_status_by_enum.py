"""update_status_by_enum

Revision ID: n024
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n024"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    users = sa.table("users", sa.column("status", sa.Enum("new", "paid", name="user_status")))
    op.execute(users.update().where(users.c.status == "new").values(status="paid"))


def downgrade() -> None:
    pass
