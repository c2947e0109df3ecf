"""orm_loop_all

Revision ID: k127
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op
from sqlalchemy import orm

revision = "k127"
down_revision = "base0000"
branch_labels = None
depends_on = None

Base = orm.declarative_base()


class User(Base):
    __tablename__ = 'users'

    id = sa.Column(sa.Integer, primary_key=True)
    notes = sa.Column(sa.Text)


def upgrade() -> None:
    session = orm.Session(bind=op.get_bind())
    for user in session.query(User):
        user.notes = f'{user.id} was here'
    session.commit()


def downgrade() -> None:
    pass
