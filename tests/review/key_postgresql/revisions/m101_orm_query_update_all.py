"""orm_query_update_all

Revision ID: m101
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import orm

revision = "m101"
down_revision = "base0000"
branch_labels = None
depends_on = None


Base = orm.declarative_base()


class User(Base):
    __tablename__ = 'users'

    id = sa.Column(sa.Integer, primary_key=True)
    email = sa.Column(sa.String(100))
    notes = sa.Column(sa.Text)


def upgrade() -> None:
    with orm.Session(op.get_bind()) as session:
        session.query(User).update({User.notes: 'x'}, synchronize_session=False)
        session.commit()


def downgrade() -> None:
    pass
