"""create_check

Revision ID: k019
Revises: base0000
"""

from alembic import op

revision = "k019"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_check_constraint("ck_age", "users", "age >= 0")


def downgrade() -> None:
    pass
