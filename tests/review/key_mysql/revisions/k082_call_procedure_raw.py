"""call_procedure_raw

Revision ID: k082
Revises: base0000
"""

from alembic import op

revision = "k082"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE PROCEDURE fix() UPDATE users SET age = 1")
    op.execute("CALL fix()")


def downgrade() -> None:
    pass
