"""batch_drop_column

Revision ID: k026
Revises: base0000
"""

from alembic import op

revision = "k026"
down_revision = "base0000"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("users") as batch:
        batch.drop_column("notes")


def downgrade() -> None:
    pass
