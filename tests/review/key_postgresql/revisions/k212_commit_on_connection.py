"""commit_on_connection

Revision ID: k212
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k212"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    connection.execute(sa.text("UPDATE users SET notes = 'x' WHERE id = 1"))
    connection.commit()


def downgrade() -> None:
    pass
