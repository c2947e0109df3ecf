"""text_upper_case_mess

Revision ID: k183
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k183"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("aLtEr   TABLE\n\tONLY ORDERS aDd   CONSTRAINT Ck_Tot CHECK(TOTAL>-5)")


def downgrade() -> None:
    pass
