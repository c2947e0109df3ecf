"""session_execute_ddl

Revision ID: n057
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import orm

revision = "n057"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    session = orm.Session(bind=op.get_bind())
    session.execute(sa.text("CREATE INDEX ix_session ON orders (total)"))
    session.commit()


def downgrade() -> None:
    pass
