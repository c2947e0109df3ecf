"""orm_adds

Revision ID: m105
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import orm

revision = "m105"
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
    session = orm.Session(op.get_bind())
    session.add_all([User(id=900000 + n, email=f'n{n}') for n in range(3)])
    session.flush()


def downgrade() -> None:
    pass
