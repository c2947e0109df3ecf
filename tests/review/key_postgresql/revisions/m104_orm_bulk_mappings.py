"""orm_bulk_mappings

Revision ID: m104
Revises: base0000
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import orm

revision = "m104"
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
    ids = session.scalars(sa.select(User.id)).all()
    session.bulk_update_mappings(User, [{'id': each, 'notes': 'x'} for each in ids])
    session.flush()


def downgrade() -> None:
    pass
