"""update_by_orm_loop

Revision ID: k053
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "k053"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    users = sa.table("users", sa.column("id"), sa.column("name"))
    bind = op.get_bind()
    for row in bind.execute(sa.select(users.c.id)).all():
        bind.execute(users.update().where(users.c.id == row.id).values(name="x"))


def downgrade() -> None:
    pass
