"""copy_into_empty

Revision ID: k216
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k216"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    cursor = op.get_bind().connection.cursor()
    with cursor.copy("COPY empty_table (id, val) FROM STDIN") as copy:
        copy.write_row((1, 'one'))


def downgrade() -> None:
    pass
