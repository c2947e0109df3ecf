"""insert_returning

Revision ID: n029
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op

revision = "n029"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = op.get_bind().execute(sa.text("INSERT INTO users (email) VALUES ('root@example.org') RETURNING id")).scalar()
    op.get_bind().execute(sa.text("INSERT INTO orders (user_id, state) VALUES (:number, 'new')"), {"number": number})
    op.execute(sa.text("UPDATE orders SET total = 1 WHERE id = :number").bindparams(number=number or 1))


def downgrade() -> None:
    pass
