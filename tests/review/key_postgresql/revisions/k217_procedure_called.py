"""procedure_called

Revision ID: k217
Revises: base0000
"""
import sqlalchemy as sa
from alembic import op

revision = "k217"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE PROCEDURE clean() LANGUAGE sql AS 'DELETE FROM items WHERE id > 10'")
    op.execute("CALL clean()")


def downgrade() -> None:
    pass
