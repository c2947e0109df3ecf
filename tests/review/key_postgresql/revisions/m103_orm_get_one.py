"""orm_get_one

Revision ID: m103
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import orm

revision = "m103"
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
    session = orm.sessionmaker(bind=op.get_bind())()
    user = session.get(User, 17)
    if user is not None:
        user.notes = 'seventeen'
    session.commit()


def downgrade() -> None:
    pass
