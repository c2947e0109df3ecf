"""batch_create_check

Revision ID: k024
Revises: base0000
"""

from alembic import op

revision = "k024"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("users") as batch:
        batch.create_check_constraint("ck_age", "age >= 0")


def downgrade() -> None:
    pass
